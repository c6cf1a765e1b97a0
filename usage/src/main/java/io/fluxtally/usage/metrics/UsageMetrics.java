package io.fluxtally.usage.metrics;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageSink;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * Counts every booked request in meters, once: {@code UsageRecorder.shared().addSink(UsageMetrics.of(registry))}.
 *
 * <p>Input and output tokens are counted apart; cache read and cache creation are parts of input, and reasoning is a part of
 * output, so none of them is to be added to the others. A part that the provider did not report adds nothing and has no
 * meter; one that is reported as 0 has. A request whose figure is missing is counted as a request, and has no tokens.
 *
 * <p>All meters of requests have the same tags: provider, requested model, answering model, operation (always {@code chat}),
 * agent, outcome, source. One that is not known is {@code none}. Of what an app or a provider chooses, there are only so many
 * values of each tag, and ten times as many combinations of all tags; what comes later is {@code other}.
 *
 * <p>The meters stay registered for as long as the registry lives. Safe for use by any number of threads. It waits for nobody
 * but other threads that are counting the first request with some tags.
 */
public final class UsageMetrics implements UsageSink {

    /** How many values of a tag there are, unless set: 100. */
    public static final int DEFAULT_MAX_TAG_VALUES = 100;

    private static final int COMBINATIONS_PER_VALUE = 10;

    private final MeterRegistry registry;
    private final MetricNaming naming;
    private final TagValues providers;
    private final TagValues requestModels;
    private final TagValues responseModels;
    private final TagValues agents;
    private final long maxCombinations;
    private final ConcurrentMap<RequestTags, RequestMeters> meters = new ConcurrentHashMap<>();

    private UsageMetrics(Builder builder) {
        this.registry = builder.registry;
        this.naming = builder.naming;
        this.providers = new TagValues(builder.maxTagValues);
        this.requestModels = new TagValues(builder.maxTagValues);
        this.responseModels = new TagValues(builder.maxTagValues);
        this.agents = new TagValues(builder.maxTagValues);
        this.maxCombinations = (long) COMBINATIONS_PER_VALUE * builder.maxTagValues;
    }

    /** Metrics with names of our own. */
    public static UsageMetrics of(MeterRegistry registry) {
        return builder(registry).build();
    }

    /** A builder of metrics that are registered with the given registry. */
    public static Builder builder(MeterRegistry registry) {
        return new Builder(registry);
    }

    @Override
    public void accept(RequestUsage request) {
        String provider = request.provider();
        RequestTags tags = new RequestTags(
                providers.of(provider == null ? null : naming.provider(provider)),
                requestModels.of(request.requestModel()),
                responseModels.of(request.responseModel()),
                agents.of(request.agent()),
                request.outcome(),
                request.source());
        metersOf(tags).record(request);
    }

    private RequestMeters metersOf(RequestTags tags) {
        RequestMeters found = meters.get(tags);
        return found != null ? found : firstMetersOf(tags);
    }

    private RequestMeters firstMetersOf(RequestTags tags) {
        if (meters.size() >= maxCombinations) {
            // At most as many as there are outcomes and sources.
            return meters.computeIfAbsent(tags.overflowing(), this::register);
        }
        synchronized (meters) {
            RequestTags kept = meters.size() < maxCombinations || meters.containsKey(tags) ? tags : tags.overflowing();
            return meters.computeIfAbsent(kept, this::register);
        }
    }

    private RequestMeters register(RequestTags tags) {
        return new RequestMeters(registry, naming, tags);
    }

    /** Settings of the metrics. Not safe for use by several threads. */
    public static final class Builder {

        private final MeterRegistry registry;
        private MetricNaming naming = MetricNaming.NATIVE;
        private int maxTagValues = DEFAULT_MAX_TAG_VALUES;

        private Builder(MeterRegistry registry) {
            this.registry = Objects.requireNonNull(registry, "registry");
        }

        /** Sets how meters and tags are named; names of our own unless set. */
        public Builder naming(MetricNaming value) {
            this.naming = Objects.requireNonNull(value, "naming");
            return this;
        }

        /**
         * Sets how many values of each tag there are, {@code none} and {@code other} not among them; 100 unless set.
         *
         * @throws IllegalArgumentException if it is not positive
         */
        public Builder maxTagValues(int value) {
            if (value < 1) {
                throw new IllegalArgumentException("maxTagValues must be 1 or more, but is " + value);
            }
            this.maxTagValues = value;
            return this;
        }

        /** The metrics. */
        public UsageMetrics build() {
            return new UsageMetrics(this);
        }
    }
}
