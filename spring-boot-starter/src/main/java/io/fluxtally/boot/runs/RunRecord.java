package io.fluxtally.boot.runs;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What is remembered of a run at one moment. Every view is a fold over the same requests, so each adds up to the sum.
 *
 * @param runId the run's id
 * @param state where it stands
 * @param start when it was opened, or when its first request that was seen was sent
 * @param end when it was closed or evicted, or null
 * @param sum the sum over all its requests
 * @param inFlight how many calls and requests had begun and were not booked; 0 if that is not known
 * @param wholeSeen whether all of the run is in here; not known of one that was opened elsewhere, or that was forgotten before a
 *     late request of it came
 * @param byModel the sum by model, sorted, {@code none} where no model is known
 * @param byAgent the sum by agent, sorted, {@code none} for requests of no agent
 * @param bySource the sum by source, sorted
 * @param requests the requests that are remembered, the first ones first, in the order in which they were sent
 * @param omitted how many requests are in the sums and not remembered one by one
 */
public record RunRecord(
        String runId,
        RunState state,
        Instant start,
        @Nullable Instant end,
        UsageSum sum,
        long inFlight,
        boolean wholeSeen,
        Map<String, UsageSum> byModel,
        Map<String, UsageSum> byAgent,
        Map<String, UsageSum> bySource,
        List<RequestUsage> requests,
        long omitted) {

    /**
     * Whether the total is known to be exact: all of the run was seen, every request has the provider's final figure, and none is
     * in flight.
     */
    public boolean isComplete() {
        return wholeSeen && inFlight == 0 && sum.isComplete();
    }
}
