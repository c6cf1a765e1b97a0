package io.fluxtally.boot.runs;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import reactor.util.context.Context;

/**
 * A run that {@link UsageRuns} opened. It ends when it is closed, for the list of runs; figures that arrive later are
 * still counted in it.
 *
 * <p>Safe for use by any number of threads.
 */
public final class UsageRun implements AutoCloseable {

    private final RunScope scope;
    private final RunListener.OpenRun around;
    private final Runnable onClose;

    /** A run, or a part of one, that somebody else closes. */
    UsageRun(RunScope scope) {
        this(scope, RunListener.OpenRun.NONE, () -> {});
    }

    UsageRun(RunScope scope, RunListener.OpenRun around, Runnable onClose) {
        this.scope = scope;
        this.around = around;
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

    /**
     * The given context for work in this run: {@code flux.contextWrite(run::writeTo)}. Unlike the {@linkplain #scope() scope}
     * alone, it puts the work into the run's observation too, if it has one.
     */
    public Context writeTo(Context context) {
        return around.writeTo(scope.writeTo(context));
    }

    /**
     * Puts the current thread into this run, and into its observation if it has one, until the binding is closed. To be closed
     * on the same thread: {@code try (var binding = run.bind()) { ... }}.
     */
    public UsageScope.Binding bind() {
        UsageScope.Binding inside = around.bind();
        UsageScope.Binding scoped = scope.bind();
        return () -> {
            scoped.close();
            inside.close();
        };
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
