package io.fluxtally.usage.scope;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where failures of the measuring itself end: counted, logged once per kind with their cause, and never seen by the
 * measured app.
 *
 * <p>Safe for use by any number of threads.
 */
public final class MeasuringFailures {

    private static final Logger LOG = LoggerFactory.getLogger(MeasuringFailures.class);

    /** Kinds beyond this many are counted but no longer logged, so that memory and log stay bounded. */
    private static final int MAX_KINDS = 256;

    private static final ConcurrentMap<String, AtomicLong> COUNTS = new ConcurrentHashMap<>();
    private static final AtomicLong TOTAL = new AtomicLong();

    private MeasuringFailures() {}

    /**
     * Counts a failure, and logs it if it is the first of its kind: the same part failing with the same type of error.
     * Errors that the JVM cannot go on with are thrown on.
     */
    public static void report(String part, Throwable error) {
        if (error instanceof VirtualMachineError fatal && !(error instanceof StackOverflowError)) {
            throw fatal;
        }
        TOTAL.incrementAndGet();
        String kind = part + ": " + error.getClass().getName();
        AtomicLong count = COUNTS.get(kind);
        if (count == null && COUNTS.size() < MAX_KINDS) {
            count = COUNTS.computeIfAbsent(kind, key -> new AtomicLong());
        }
        if (count != null && count.getAndIncrement() == 0) {
            LOG.warn(
                    "Measuring failed in {}; the measured call is not affected. Further failures of this kind are counted only.",
                    part,
                    error);
        }
    }

    /** How many failures there were in this process. */
    public static long count() {
        return TOTAL.get();
    }
}
