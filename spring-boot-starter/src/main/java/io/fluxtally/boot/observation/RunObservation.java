package io.fluxtally.boot.observation;

import io.fluxtally.boot.runs.RunListener;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageScope;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import reactor.util.context.Context;

/** The observation of one run. */
final class RunObservation implements RunListener.OpenRun {

    private static final String RUN = "fluxtally.run.";
    private static final String USAGE = RUN + "usage.";

    private static final Map<TokenPart, String> PARTS = Map.of(
            TokenPart.CACHE_READ_INPUT, USAGE + "cache_read.input_tokens",
            TokenPart.CACHE_CREATION_INPUT, USAGE + "cache_creation.input_tokens",
            TokenPart.REASONING_OUTPUT, USAGE + "reasoning.output_tokens");

    private final Observation observation;
    private final ObservationRegistry registry;
    private final AtomicBoolean closed = new AtomicBoolean();

    RunObservation(Observation observation, ObservationRegistry registry) {
        this.observation = observation;
        this.registry = registry;
    }

    @Override
    public Context writeTo(Context context) {
        return context.put(ObservationThreadLocalAccessor.KEY, observation);
    }

    @Override
    public UsageScope.Binding bind() {
        Observation.Scope before = registry.getCurrentObservationScope();
        try {
            Observation.Scope scope = observation.openScope();
            return () -> close(scope, before);
        } catch (Throwable failure) {
            leave(before, failure);
            return () -> {};
        }
    }

    private void close(Observation.Scope scope, Observation.@Nullable Scope before) {
        try {
            scope.close();
        } catch (Throwable failure) {
            leave(before, failure);
        }
    }

    /** A handler that throws leaves Micrometer's scope on the thread, where what comes next would find it. */
    private void leave(Observation.@Nullable Scope before, Throwable failure) {
        registry.setCurrentObservationScope(before);
        MeasuringFailures.report(RunObservations.PART, failure);
    }

    @Override
    public void closed(RunUsage usage) {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        try {
            write(usage);
            observation.stop();
        } catch (Throwable failure) {
            MeasuringFailures.report(RunObservations.PART, failure);
        }
    }

    private void write(RunUsage usage) {
        UsageSum sum = usage.sum();
        if (!sum.isUnknown()) {
            TokenUsage total = sum.total();
            put(USAGE + "input_tokens", total.inputTokens());
            put(USAGE + "output_tokens", total.outputTokens());
            put(USAGE + "total_tokens", total.totalTokens());
            PARTS.forEach((part, key) -> total.part(part).ifPresent(tokens -> put(key, tokens)));
        }
        put(RUN + "requests", sum.requests());
        put(RUN + "unreported", sum.unreported());
        observation.highCardinalityKeyValue(RUN + "complete", Boolean.toString(usage.isComplete()));
    }

    private void put(String key, long value) {
        observation.highCardinalityKeyValue(key, Long.toString(value));
    }
}
