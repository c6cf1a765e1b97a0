package io.fluxtally.boot.metrics;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.metrics.UsageMetrics;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageSink;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Hands every request to the metrics, as soon as there is a registry for them.
 *
 * <p>A sink is needed by every HTTP client, and some registries send by one: neither can wait for the other. So requests that
 * are made while the app starts are held until all its beans are there.
 *
 * <p>Safe for use by any number of threads.
 */
final class RequestMetrics implements UsageSink {

    /** How many requests are held while the app starts. */
    static final int MAX_EARLY = 1000;

    private final MetricsProperties properties;
    private final List<RequestUsage> early = new ArrayList<>();
    private volatile @Nullable UsageMetrics metrics;

    RequestMetrics(MetricsProperties properties) {
        this.properties = properties;
    }

    @Override
    public void accept(RequestUsage request) {
        UsageMetrics registered = metrics;
        if (registered == null) {
            registered = metricsElseHold(request);
        }
        if (registered != null) {
            registered.accept(request);
        }
    }

    private @Nullable UsageMetrics metricsElseHold(RequestUsage request) {
        synchronized (early) {
            if (metrics == null) {
                if (early.size() == MAX_EARLY) {
                    throw new IllegalStateException(
                            "more than %d requests came before the app had started: their metrics are lost"
                                    .formatted(MAX_EARLY));
                }
                early.add(request);
            }
            return metrics;
        }
    }

    /** Registers the meters, and counts what came until now. To be called once. */
    void start(MeterRegistry registry) {
        UsageMetrics registered = UsageMetrics.builder(registry)
                .naming(properties.naming())
                .maxTagValues(properties.maxTagValues())
                .build();
        synchronized (early) {
            metrics = registered;
        }
        // From here on nobody adds to them.
        for (RequestUsage request : early) {
            try {
                registered.accept(request);
            } catch (Throwable failure) {
                MeasuringFailures.report("the metrics of an early request", failure);
            }
        }
        early.clear();
    }
}
