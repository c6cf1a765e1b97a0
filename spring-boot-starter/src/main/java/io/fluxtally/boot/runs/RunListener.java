package io.fluxtally.boot.runs;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * Is told of the runs that {@link UsageRuns} opens, to open something of its own around each, such as a span. What it
 * throws is logged and counted, and does not reach the app. It must be safe for use by any number of threads.
 */
@FunctionalInterface
public interface RunListener {

    /**
     * A run was opened. A part of a run that is opened inside it is not told.
     *
     * @param run its scope
     * @param context the Reactor context it is opened in; empty for one that is opened on the current thread
     */
    OpenRun opened(RunScope run, ContextView context);

    /** What is open around a run. Must be safe for use by any number of threads. */
    interface OpenRun {

        /** Nothing. */
        OpenRun NONE = new OpenRun() {

            @Override
            public Context writeTo(Context context) {
                return context;
            }

            @Override
            public UsageScope.Binding bind() {
                return () -> {};
            }

            @Override
            public void closed(RunUsage usage) {}
        };

        /** The given context for work inside it. */
        Context writeTo(Context context);

        /** Puts the current thread inside it until the binding is closed, on the same thread. */
        UsageScope.Binding bind();

        /**
         * The run was closed or evicted. It may be told so again.
         *
         * @param usage what was used until then
         */
        void closed(RunUsage usage);
    }
}
