package io.fluxtally.graph;

import io.fluxtally.usage.scope.RunScope;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * One execution of a node's blocking work. From when it is handed to a thread until it returns it is in flight, since it
 * may make requests at any time, even when nobody waits for it any more; and if it has not begun when it is cancelled it
 * never does.
 */
final class BlockingWork {

    private final RunScope scope;
    private final Callable<? extends Map<String, ?>> work;
    private final AtomicBoolean taken = new AtomicBoolean();

    private BlockingWork(RunScope scope, Callable<? extends Map<String, ?>> work) {
        this.scope = scope;
        this.work = work;
    }

    /** The update that the work makes. */
    static Mono<Map<String, ?>> on(Scheduler scheduler, RunScope scope, Callable<? extends Map<String, ?>> work) {
        return Mono.defer(() -> {
            BlockingWork execution = new BlockingWork(scope, work);
            scope.tally().begun();
            return Mono.<Map<String, ?>>fromCallable(execution::call)
                    .subscribeOn(scheduler)
                    .doOnCancel(execution::cancel)
                    .doOnError(error -> execution.cancel());
        });
    }

    private Map<String, ?> call() throws Exception {
        if (!taken.compareAndSet(false, true)) {
            throw new CancellationException();
        }
        try {
            return scope.call(work);
        } finally {
            scope.tally().ended();
        }
    }

    /** Also when no thread would take it. */
    private void cancel() {
        if (taken.compareAndSet(false, true)) {
            scope.tally().ended();
        }
    }
}
