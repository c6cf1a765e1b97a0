package io.fluxtally.boot.runs;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.RunScope;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** A run as it is remembered. Guarded by the history that it is in. */
final class RunEntry {

    private final String runId;
    private final int maxRequests;
    private final Map<String, UsageSum> byModel = new TreeMap<>();
    private final Map<String, UsageSum> byAgent = new TreeMap<>();
    private final Map<String, UsageSum> bySource = new TreeMap<>();
    private final List<RequestUsage> requests = new ArrayList<>();
    private UsageSum sum = UsageSum.EMPTY;
    private RunState state;

    /** Whether it was here from its beginning. */
    private final boolean wholeSeen;

    private Instant start;
    private @Nullable Instant end;

    /** Knows what is in flight; let go when the run has ended and nothing is any more. */
    private @Nullable RunScope scope;

    private Runnable onEvicted = () -> {};

    /** When it was opened or last booked a request, by the history's clock. */
    private Instant lastActive;

    RunEntry(String runId, RunState state, Instant start, Instant now, int maxRequests) {
        this.runId = runId;
        this.state = state;
        this.wholeSeen = state == RunState.OPEN;
        this.start = start;
        this.lastActive = now;
        this.maxRequests = maxRequests;
    }

    String runId() {
        return runId;
    }

    Instant lastActive() {
        return lastActive;
    }

    void active(Instant now) {
        lastActive = now;
    }

    /** Whether something is in flight, so that a request is to come. */
    boolean isWaiting() {
        return inFlight() > 0;
    }

    void open(RunScope newScope, Runnable newOnEvicted, Instant now) {
        state = RunState.OPEN;
        scope = newScope;
        onEvicted = newOnEvicted;
        end = null;
        lastActive = now;
    }

    void end(RunState how, Instant now) {
        state = how;
        end = now;
        onEvicted = () -> {};
    }

    /** What is to be run when it is evicted. */
    Runnable onEvicted() {
        return onEvicted;
    }

    @Nullable
    RunScope scope() {
        return scope;
    }

    /** Whether it has a request, or one is to come of what is in flight. */
    boolean hasRequests() {
        return sum.requests() > 0 || isWaiting();
    }

    void settled(RunScope one) {
        if (scope == one && state != RunState.OPEN) {
            scope = null;
        }
    }

    void add(RequestUsage request, Instant now) {
        lastActive = now;
        if (request.start().isBefore(start)) {
            start = request.start();
        }
        sum = sum.plus(request);
        add(byModel, request.model(), request);
        add(byAgent, request.agent(), request);
        add(bySource, request.source().name(), request);
        if (requests.size() < maxRequests) {
            requests.add(request);
        }
    }

    private static void add(Map<String, UsageSum> sums, @Nullable String key, RequestUsage request) {
        sums.merge(key == null ? RunUsage.NONE : key, UsageSum.EMPTY.plus(request), (one, other) -> one.plus(request));
    }

    private long inFlight() {
        return scope == null ? 0 : scope.usage().inFlight();
    }

    Instant start() {
        return start;
    }

    void addTo(RunOverview.Totals totals) {
        totals.add(sum, byModel, byAgent, bySource);
    }

    RunRecord record() {
        List<RequestUsage> sorted = new ArrayList<>(requests);
        sorted.sort(Comparator.comparing(RequestUsage::start));
        return record(sorted);
    }

    RunRecord recordWithoutRequests() {
        return record(List.of());
    }

    private RunRecord record(List<RequestUsage> shown) {
        return new RunRecord(
                runId,
                state,
                start,
                end,
                sum,
                inFlight(),
                wholeSeen,
                Collections.unmodifiableMap(new TreeMap<>(byModel)),
                Collections.unmodifiableMap(new TreeMap<>(byAgent)),
                Collections.unmodifiableMap(new TreeMap<>(bySource)),
                Collections.unmodifiableList(shown),
                sum.requests() - requests.size());
    }
}
