package io.fluxtally.usage.metrics;

import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.WireTap;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Objects;
import java.util.function.ToDoubleFunction;

/**
 * Counts by reason where a figure may have been dropped: {@code fluxtally.dropped.figures} with the tag {@code reason}, which
 * is {@code unread_event} (an event of a stream was too long to read, or not what its kind promises), {@code refused_drain}
 * (a response that the app left was not read on, since too many were) or {@code measuring_failure} (the measuring failed
 * somewhere; the log has the first of each kind, and the count is the process's).
 *
 * <p>A registry holds the tap weakly: the counts go on for as long as the tap is in use. Safe for use by any number of
 * threads.
 */
public final class DroppedFigures implements MeterBinder {

    private final WireTap tap;

    /** The counts of the given tap and of this process. */
    public DroppedFigures(WireTap tap) {
        this.tap = Objects.requireNonNull(tap, "tap");
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        count(registry, "unread_event", tap, WireTap::unreadEvents);
        count(registry, "refused_drain", tap, WireTap::refusedDrains);
        // The class stands for the process: unlike another object, it is never collected.
        count(registry, "measuring_failure", MeasuringFailures.class, type -> MeasuringFailures.count());
    }

    private static <T> void count(MeterRegistry registry, String reason, T counted, ToDoubleFunction<T> count) {
        FunctionCounter.builder("fluxtally.dropped.figures", counted, count)
                .description("Events and failures that may have cost a token figure")
                .tag("reason", reason)
                .register(registry);
    }
}
