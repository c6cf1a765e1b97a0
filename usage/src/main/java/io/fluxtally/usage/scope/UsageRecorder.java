package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;

/**
 * The one place where requests are booked: to their run, to the totals of the process, and to the sinks.
 *
 * <p>A request that found no run is in the process-wide totals and counted as unattributed.
 *
 * <p>Safe for use by any number of threads.
 */
public final class UsageRecorder {

    private static final UsageRecorder SHARED = new UsageRecorder(List.of());

    private final List<Addition> sinks = new CopyOnWriteArrayList<>();
    private final AtomicReference<UsageSum> processSum = new AtomicReference<>(UsageSum.EMPTY);
    private final AtomicLong unattributed = new AtomicLong();

    private UsageRecorder(List<UsageSink> sinks) {
        sinks.forEach(this::addSink);
    }

    /** The recorder of this process: used wherever none is given. It has the sinks that were added to it. */
    public static UsageRecorder shared() {
        return SHARED;
    }

    /** A recorder that hands every request to the given sinks, in their order. */
    public static UsageRecorder withSinks(UsageSink... sinks) {
        return new UsageRecorder(List.of(sinks));
    }

    /**
     * Hands every request that is booked from now on to the given sink too, behind those that are there, until what is
     * returned is disposed.
     */
    public Disposable addSink(UsageSink sink) {
        Addition added = new Addition(sink);
        sinks.add(added);
        return () -> sinks.remove(added);
    }

    /**
     * Books a request to the given run, or to none. One that its run has already is passed over; without a run there is
     * nothing to tell a repetition by. Throws nothing but errors that the JVM cannot go on with.
     */
    public void book(@Nullable RunScope run, RequestUsage request) {
        book(run, request, Reservation.NONE);
    }

    /** {@link #book(RunScope, RequestUsage)} for a request that places are reserved for; it takes them. */
    public void book(@Nullable RunScope run, RequestUsage request, Reservation reservation) {
        if (run == null) {
            unattributed.incrementAndGet();
        } else if (!run.tally().add(request, reservation::takesPlace)) {
            return;
        }
        processSum.updateAndGet(sum -> sum.plus(request));
        for (Addition added : sinks) {
            hand(request, added.sink);
        }
    }

    /** Hands a booked request to a sink. What the sink throws is counted in {@link MeasuringFailures}, and goes no further. */
    public static void hand(RequestUsage request, UsageSink sink) {
        try {
            sink.accept(request);
        } catch (Throwable error) {
            MeasuringFailures.report("usage sink " + sink.getClass().getName(), error);
        }
    }

    /** All requests booked here so far. */
    public UsageSum processSum() {
        return processSum.get();
    }

    /** How many of the requests booked here belonged to no run. */
    public long unattributed() {
        return unattributed.get();
    }

    /** A sink that was added: the same one may be twice, and each addition is undone by itself. */
    private static final class Addition {

        private final UsageSink sink;

        Addition(UsageSink sink) {
            this.sink = Objects.requireNonNull(sink, "sink");
        }
    }
}
