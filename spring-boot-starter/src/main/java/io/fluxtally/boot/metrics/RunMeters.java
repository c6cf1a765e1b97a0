package io.fluxtally.boot.metrics;

import io.fluxtally.boot.runs.RunHistory;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

/** The runs that are open, and those that were never closed: {@code fluxtally.runs.open}, {@code fluxtally.runs.evicted}. */
final class RunMeters implements MeterBinder {

    private final RunHistory history;

    RunMeters(RunHistory history) {
        this.history = history;
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        Gauge.builder("fluxtally.runs.open", history, RunHistory::open)
                .description("Runs that are open")
                .register(registry);
        FunctionCounter.builder("fluxtally.runs.evicted", history, RunHistory::evicted)
                .description("Runs that were never closed and given up")
                .register(registry);
    }
}
