package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.usage.UsageLimitExceededException;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** A retry that spares what cannot succeed, and that ends with the error of the last attempt however it ends. */
final class NodeRetry extends Retry {

    /** More than any chain of causes has; one may go round. */
    private static final int MAX_CAUSES = 100;

    private final Retry retry;

    NodeRetry(Retry retry) {
        super(retry.retryContext());
        this.retry = retry;
    }

    @Override
    public Publisher<?> generateCompanion(Flux<RetrySignal> signals) {
        AtomicReference<@Nullable Throwable> last = new AtomicReference<>();
        Flux<RetrySignal> retryable = signals.handle((signal, sink) -> {
            Throwable failure = signal.failure();
            last.set(failure);
            if (isRefusal(failure)) {
                sink.error(failure);
            } else {
                sink.next(signal);
            }
        });
        return Flux.<Object>from(retry.generateCompanion(retryable))
                .onErrorMap(
                        Exceptions::isRetryExhausted, exhausted -> Objects.requireNonNullElse(last.get(), exhausted))
                // A spec that just ends would end the node as if it had completed.
                .concatWith(Mono.error(() -> Objects.requireNonNullElseGet(
                        last.get(), () -> new IllegalStateException("the retry ended before the node did"))));
    }

    private static boolean isRefusal(Throwable failure) {
        return isCausedBy(
                failure,
                cause -> cause instanceof UsageLimitExceededException
                        || cause instanceof MaxIterationsException
                        || cause instanceof CheckpointException);
    }

    /** Whether it was not the node that failed, but the saving of the run: then nothing else will do either. */
    static boolean isUnsaved(Throwable failure) {
        return isCausedBy(failure, CheckpointException.class::isInstance);
    }

    private static boolean isCausedBy(Throwable failure, Predicate<Throwable> kind) {
        Throwable cause = failure;
        for (int i = 0; cause != null && i < MAX_CAUSES; i++) {
            if (kind.test(cause)) {
                return true;
            }
            cause = cause.getCause();
        }
        return false;
    }
}
