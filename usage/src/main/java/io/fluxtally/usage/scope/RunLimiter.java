package io.fluxtally.usage.scope;

import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageLimit;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimitReached;
import io.fluxtally.usage.UsageLimits;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The limits of one tally, and what limits those that it is a part of.
 *
 * <p>Safe for use by any number of threads.
 */
final class RunLimiter {

    /** Nothing is known of a request before its response but that it is one, and takes a token at least. */
    private static final long ASKED = 1;

    private final String runId;
    private final RunTally tally;
    private final List<Limits> all;
    private final @Nullable RunLimiter outer;

    private RunLimiter(String runId, RunTally tally, List<Limits> all, @Nullable RunLimiter outer) {
        this.runId = runId;
        this.tally = tally;
        this.all = all;
        this.outer = outer;
    }

    /** Limits of a tally, within those that hold already: of the same tally, or of one that it is a part of. */
    static RunLimiter of(String runId, RunTally tally, UsageLimits limits, @Nullable RunLimiter within) {
        List<Limits> all = new ArrayList<>();
        // One tally holds one place for a request, so all limits of it are checked together.
        boolean same = within != null && within.tally == tally;
        if (within != null && same) {
            all.addAll(within.all);
        }
        all.add(new Limits(limits));
        return new RunLimiter(runId, tally, List.copyOf(all), within != null && same ? within.outer : within);
    }

    /** Limits and which of them their listener was told of. */
    private static final class Limits {

        private final UsageLimits values;
        private final Map<UsageLimit, AtomicBoolean> told = new EnumMap<>(UsageLimit.class);

        Limits(UsageLimits values) {
            this.values = Objects.requireNonNull(values, "limits");
            for (UsageLimit limit : UsageLimit.values()) {
                told.put(limit, new AtomicBoolean());
            }
        }

        boolean isFirst(UsageLimit limit) {
            return Objects.requireNonNull(told.get(limit)).compareAndSet(false, true);
        }
    }

    RunTally tally() {
        return tally;
    }

    @Nullable
    RunLimiter outer() {
        return outer;
    }

    /**
     * Holds a place in the tally for a request that is about to be made.
     *
     * @throws UsageLimitExceededException if a limit is reached that has no listener
     */
    void holdPlace() {
        RunUsage usage = tally.usage();
        for (Limits limits : all) {
            check(limits, UsageLimit.INPUT_TOKENS, usage.total().inputTokens());
            check(limits, UsageLimit.OUTPUT_TOKENS, usage.total().outputTokens());
            check(limits, UsageLimit.TOTAL_TOKENS, usage.total().totalTokens());
        }
        long taken = tally.holdPlace(maxRequests());
        for (Limits limits : all) {
            check(limits, UsageLimit.REQUESTS, taken);
        }
    }

    private long maxRequests() {
        long max = Long.MAX_VALUE;
        for (Limits limits : all) {
            Long requests = limits.values.requests();
            if (requests != null && limits.values.listener() == null) {
                max = Math.min(max, requests);
            }
        }
        return max;
    }

    private void check(Limits limits, UsageLimit limit, long used) {
        Long max = limits.values.of(limit);
        if (max == null || used < max) {
            return;
        }
        Consumer<? super UsageLimitReached> listener = limits.values.listener();
        if (listener == null) {
            throw new UsageLimitExceededException(reached(limit, max, used));
        }
        if (limits.isFirst(limit)) {
            try {
                listener.accept(reached(limit, max, used));
            } catch (Throwable failure) {
                MeasuringFailures.report("the listener of a limit", failure);
            }
        }
    }

    private UsageLimitReached reached(UsageLimit limit, long max, long used) {
        return new UsageLimitReached(runId, limit, max, used, ASKED, tally.usage());
    }
}
