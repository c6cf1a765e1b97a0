package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.RunScope;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

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

    private final RunScope execution;
    private final RunScope scope;
    private final AtomicReference<Phase> phase = new AtomicReference<>(Phase.OPEN);

    /**
     * An attempt in a node's execution. A further one is a part of it that counts from zero, since one before it may still
     * make requests.
     *
     * @param execution the scope of the execution
     * @param number the attempt's number
     * @param further whether there was one before it
     */
    NodeAttempt(RunScope execution, int number, boolean further) {
        this.execution = execution;
        this.scope = (further ? execution.branch() : execution).withAttempt(number);
    }

    RunScope scope() {
        return scope;
    }

    /** Whether requests were captured in this attempt. */
    boolean hasRequests() {
        return scope.usage().sum().requests() > 0;
    }

    /** What the execution has used, in all its attempts. */
    RunUsage nodeUsage() {
        return execution.usage();
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
                // On a thread that may block, since what comes next goes on there. They must end, since an error of the
                // timer would not cancel them.
                .takeUntilOther(Mono.delay(timeout, Schedulers.boundedElastic())
                        .flatMap(tick -> phase.compareAndSet(Phase.OPEN, Phase.EXPIRED) ? Mono.empty() : Mono.never()))
                .concatWith(Mono.defer(() -> isExpired() ? Mono.error(new TimeoutException(message)) : Mono.empty()));
    }
}
