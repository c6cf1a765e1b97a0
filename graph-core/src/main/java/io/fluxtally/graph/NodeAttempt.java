package io.fluxtally.graph;

import io.fluxtally.usage.scope.RunScope;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One attempt at a node. It completes or runs out of time, whichever comes first, and never both: what has run out of time
 * may still come to its end on a thread of its own, and must leave the state alone by then.
 *
 * <p>Safe for use by any number of threads.
 */
final class NodeAttempt {

    private enum Phase {
        OPEN,
        COMPLETED,
        EXPIRED
    }

    private final RunScope scope;
    private final long requestsBefore;
    private final AtomicReference<Phase> phase = new AtomicReference<>(Phase.OPEN);

    /** An attempt in the scope of the node's execution, labelled with its number. */
    NodeAttempt(RunScope scope) {
        this.scope = scope;
        this.requestsBefore = scope.usage().sum().requests();
    }

    RunScope scope() {
        return scope;
    }

    /** Whether requests were captured in this attempt. */
    boolean hasRequests() {
        return scope.usage().sum().requests() > requestsBefore;
    }

    /** Completes it; returns whether it still could. */
    boolean complete() {
        return phase.compareAndSet(Phase.OPEN, Phase.COMPLETED);
    }

    boolean isExpired() {
        return phase.get() == Phase.EXPIRED;
    }

    /** Its outputs, which are cancelled and fail with the given message if it has not completed in time. */
    Flux<NodeOutput> within(Duration timeout, Flux<NodeOutput> outputs, String message) {
        return outputs
                // Which must end, since an error of the timer would not cancel them.
                .takeUntilOther(Mono.delay(timeout)
                        .flatMap(tick -> phase.compareAndSet(Phase.OPEN, Phase.EXPIRED) ? Mono.empty() : Mono.never()))
                .concatWith(Mono.defer(() -> isExpired() ? Mono.error(new TimeoutException(message)) : Mono.empty()));
    }
}
