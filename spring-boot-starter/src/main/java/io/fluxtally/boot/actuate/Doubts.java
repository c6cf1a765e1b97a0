package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import java.util.Map;

/**
 * Why a sum is not exact: how many calls and requests are under way, and how many requests have no final figure, by what they
 * have instead. All are 0 where it is.
 */
record Doubts(long inFlight, long partial, long estimated, long missing) {

    static Doubts of(RunRecord run) {
        return of(run.inFlight(), run.bySource());
    }

    static Doubts of(long inFlight, Map<String, UsageSum> bySource) {
        return new Doubts(
                inFlight,
                requests(bySource, UsageSource.PARTIAL),
                requests(bySource, UsageSource.ESTIMATED),
                requests(bySource, UsageSource.MISSING));
    }

    private static long requests(Map<String, UsageSum> bySource, UsageSource source) {
        return bySource.getOrDefault(source.name(), UsageSum.EMPTY).requests();
    }

    boolean none() {
        return inFlight + partial + estimated + missing == 0;
    }
}
