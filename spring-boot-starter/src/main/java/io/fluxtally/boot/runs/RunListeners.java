package io.fluxtally.boot.runs;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/** Several listeners as one, each kept from the app and from the others: what one throws is logged and counted. */
final class RunListeners implements RunListener {

    private static final String PART = "a listener of runs";

    private final List<RunListener> listeners;

    RunListeners(List<? extends RunListener> listeners) {
        this.listeners = List.copyOf(listeners);
    }

    @Override
    public OpenRun opened(RunScope run, ContextView context) {
        if (listeners.isEmpty()) {
            return OpenRun.NONE;
        }
        List<OpenRun> open = new ArrayList<>(listeners.size());
        for (RunListener listener : listeners) {
            try {
                open.add(listener.opened(run, context));
            } catch (Throwable failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
        return new All(open);
    }

    private record All(List<OpenRun> open) implements OpenRun {

        @Override
        public Context writeTo(Context context) {
            Context inside = context;
            for (OpenRun one : open) {
                try {
                    inside = one.writeTo(inside);
                } catch (Throwable failure) {
                    MeasuringFailures.report(PART, failure);
                }
            }
            return inside;
        }

        @Override
        public UsageScope.Binding bind() {
            List<UsageScope.Binding> bindings = new ArrayList<>(open.size());
            for (OpenRun one : open) {
                try {
                    bindings.add(0, one.bind());
                } catch (Throwable failure) {
                    MeasuringFailures.report(PART, failure);
                }
            }
            return () -> {
                for (UsageScope.Binding binding : bindings) {
                    try {
                        binding.close();
                    } catch (Throwable failure) {
                        MeasuringFailures.report(PART, failure);
                    }
                }
            };
        }

        @Override
        public void closed(RunUsage usage) {
            for (OpenRun one : open) {
                try {
                    one.closed(usage);
                } catch (Throwable failure) {
                    MeasuringFailures.report(PART, failure);
                }
            }
        }
    }
}
