package io.fluxtally.usage.metrics;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.noop.NoopCounter;
import io.micrometer.core.instrument.noop.NoopTimer;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The meters of all requests with the same tags. Those of figures that no request has had yet are not registered.
 *
 * <p>Safe for use by any number of threads.
 */
final class RequestMeters {

    private static final TokenCount[] TOKEN_COUNTS = TokenCount.values();

    private final MeterRegistry registry;
    private final MetricNaming naming;
    private final Tags tags;

    private final Counter requests;
    private final Counter unattributed;
    private final Counter unreported;
    private final Timer duration;
    private volatile @Nullable Timer timeToFirstChunk;

    /** By the ordinal of {@link TokenCount}. A counter that two threads register at once is the same one. */
    private final AtomicReferenceArray<@Nullable Counter> tokens = new AtomicReferenceArray<>(TokenCount.COUNT);

    RequestMeters(MeterRegistry registry, MetricNaming naming, RequestTags values) {
        this.registry = registry;
        this.naming = naming;
        this.tags = values.tags(naming);
        this.requests = counter("fluxtally.requests", "Requests to model providers", null, tags);
        this.unattributed =
                counter("fluxtally.requests.unattributed", "Requests that were made outside any run", null, tags);
        this.unreported = counter(
                "fluxtally.requests.unreported", "Requests without the provider's final token figures", null, tags);
        this.duration = timer(naming.duration(), "Time from sending a request to the end of its response");
    }

    void record(RequestUsage request) {
        requests.increment();
        if (request.runId() == null) {
            unattributed.increment();
        }
        if (request.source() != UsageSource.REPORTED) {
            unreported.increment();
        }
        duration.record(request.duration());
        Duration firstChunk = request.timeToFirstChunk();
        if (firstChunk != null) {
            timeToFirstChunk().record(firstChunk);
        }
        TokenUsage usage = request.usage();
        if (usage == null) {
            return;
        }
        for (TokenCount count : TOKEN_COUNTS) {
            OptionalLong figure = count.of(usage);
            if (figure.isPresent()) {
                tokens(count).increment(figure.getAsLong());
            }
        }
    }

    private Timer timeToFirstChunk() {
        Timer timer = timeToFirstChunk;
        if (timer == null) {
            timer = timer(
                    naming.timeToFirstChunk(),
                    "Time from sending a request to the first byte of its response, of a stream to its first chunk");
            timeToFirstChunk = timer;
        }
        return timer;
    }

    private Counter tokens(TokenCount count) {
        Counter counter = tokens.get(count.ordinal());
        if (counter == null) {
            counter = counter(count.name(naming), count.description(), "tokens", tags.and(naming.tokenTags()));
            tokens.set(count.ordinal(), counter);
        }
        return counter;
    }

    private Counter counter(String name, String description, @Nullable String unit, Tags tags) {
        try {
            return Counter.builder(name)
                    .description(description)
                    .baseUnit(unit)
                    .tags(tags)
                    .register(registry);
        } catch (RuntimeException taken) {
            return new NoopCounter(refused(name, tags, Meter.Type.COUNTER, taken));
        }
    }

    private Timer timer(String name, String description) {
        try {
            return Timer.builder(name)
                    .description(description)
                    .tags(tags)
                    .serviceLevelObjectives(naming.buckets())
                    .register(registry);
        } catch (RuntimeException taken) {
            return new NoopTimer(refused(name, tags, Meter.Type.TIMER, taken));
        }
    }

    /** A registry throws if the app has a meter of that name and another type. That one costs this meter, not the others. */
    private static Meter.Id refused(String name, Tags tags, Meter.Type type, RuntimeException taken) {
        MeasuringFailures.report("the meter " + name, taken);
        return new Meter.Id(name, tags, null, null, type);
    }
}
