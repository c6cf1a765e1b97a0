package io.fluxtally.boot.runs;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.RunScope;

/**
 * A run that {@link UsageRuns} opened. It ends when it is closed, for the list of runs; figures that arrive later are
 * still counted in it.
 *
 * <p>Safe for use by any number of threads.
 */
public final class UsageRun implements AutoCloseable {

    private final RunScope scope;
    private final Runnable onClose;

    UsageRun(RunScope scope, Runnable onClose) {
        this.scope = scope;
        this.onClose = onClose;
    }

    /** The run's id. */
    public String id() {
        return scope.runId();
    }

    /** The scope that work has to be in to be counted here. */
    public RunScope scope() {
        return scope;
    }

    /** What was used so far. */
    public RunUsage usage() {
        return scope.usage();
    }

    /** The tokens used so far: the total of {@link #usage()}. */
    public TokenUsage getTokenUsage() {
        return scope.getTokenUsage();
    }

    /** Says that the run is over. A second time, it does nothing. */
    @Override
    public void close() {
        onClose.run();
    }

    @Override
    public String toString() {
        return "UsageRun[" + id() + "]";
    }
}
