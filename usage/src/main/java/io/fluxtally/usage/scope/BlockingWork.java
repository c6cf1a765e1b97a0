package io.fluxtally.usage.scope;

import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Blocking work in a run. From when it is handed to a thread until it returns it is in flight, since it may make requests at
 * any time, even when nobody waits for it any more; and if it has not begun when it is cancelled it never does.
 */
public final class BlockingWork<T> {

    private final RunScope scope;
    private final Callable<? extends @Nullable T> work;
    private final AtomicBoolean taken = new AtomicBoolean();

    private BlockingWork(RunScope scope, Callable<? extends @Nullable T> work) {
        this.scope = scope;
        this.work = work;
    }

    /**
     * What the work returns, or nothing for null. Each subscription does it once more; cancelled, it interrupts the thread.
     *
     * @param scheduler has the threads
     * @param scope the scope that the work is done in
     * @param work the work
     */
    public static <T> Mono<T> on(Scheduler scheduler, RunScope scope, Callable<? extends @Nullable T> work) {
        return Mono.defer(() -> {
            BlockingWork<T> execution = new BlockingWork<>(scope, work);
            scope.tally().begun();
            return Mono.<T>fromCallable(execution::call)
                    .subscribeOn(scheduler)
                    .doOnCancel(execution::leave)
                    .doOnError(error -> execution.leave());
        });
    }

    private @Nullable T call() throws Exception {
        if (!taken.compareAndSet(false, true)) {
            throw new CancellationException();
        }
        try {
            return scope.call(work);
        } finally {
            scope.tally().ended();
        }
    }

    /** It is not to begin any more, or no thread would take it. */
    private void leave() {
        if (taken.compareAndSet(false, true)) {
            scope.tally().ended();
        }
    }
}
