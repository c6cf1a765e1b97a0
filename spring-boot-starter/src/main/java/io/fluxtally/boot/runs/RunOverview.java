package io.fluxtally.boot.runs;

import io.fluxtally.usage.UsageSum;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The runs that were remembered at one moment, at a glance. Every view is a fold over the requests of all these runs, so each
 * adds up to the sum.
 *
 * @param runs the runs that began last, those first, without their requests
 * @param omitted how many more runs are in the sums
 * @param sum the sum over all requests of all these runs
 * @param byModel the sum by model, sorted, {@code none} where no model is known
 * @param byAgent the sum by agent, sorted, {@code none} for requests of no agent
 * @param bySource the sum by source, sorted
 * @param open how many runs were open
 * @param evicted how many runs were never closed and given up, since the history began
 */
public record RunOverview(
        List<RunRecord> runs,
        int omitted,
        UsageSum sum,
        Map<String, UsageSum> byModel,
        Map<String, UsageSum> byAgent,
        Map<String, UsageSum> bySource,
        int open,
        long evicted) {

    /** What is added up over runs. Guarded by the history. */
    static final class Totals {

        private UsageSum sum = UsageSum.EMPTY;
        private final Map<String, UsageSum> byModel = new TreeMap<>();
        private final Map<String, UsageSum> byAgent = new TreeMap<>();
        private final Map<String, UsageSum> bySource = new TreeMap<>();

        void add(
                UsageSum one,
                Map<String, UsageSum> ofModels,
                Map<String, UsageSum> ofAgents,
                Map<String, UsageSum> ofSources) {
            sum = sum.plus(one);
            add(byModel, ofModels);
            add(byAgent, ofAgents);
            add(bySource, ofSources);
        }

        private static void add(Map<String, UsageSum> sums, Map<String, UsageSum> others) {
            others.forEach((key, other) -> sums.merge(key, other, UsageSum::plus));
        }

        RunOverview overview(List<RunRecord> runs, int omitted, int open, long evicted) {
            return new RunOverview(
                    runs,
                    omitted,
                    sum,
                    Collections.unmodifiableMap(byModel),
                    Collections.unmodifiableMap(byAgent),
                    Collections.unmodifiableMap(bySource),
                    open,
                    evicted);
        }
    }
}
