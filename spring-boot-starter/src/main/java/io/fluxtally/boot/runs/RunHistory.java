package io.fluxtally.boot.runs;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageSink;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The runs that are open, and those that there were of late, within bounds. It is fed by every request that is booked, so a
 * run is in it whoever opened it.
 *
 * <p>An open run that is never closed is evicted: when others need its place, or when it was quiet for so long that nobody
 * can be waiting for it. That is looked at whenever a run is opened and whenever the history is read. One that was closed
 * without a request is not among {@link #runs()}: most that are opened for HTTP requests are such.
 *
 * <p>Safe for use by any number of threads.
 */
public final class RunHistory implements UsageSink {

    private final int keep;
    private final int maxOpen;
    private final Duration idleTimeout;
    private final int maxRequests;
    private final Clock clock;

    /**
     * Runs that are open, the one that was quiet for longest first. Not in order of access: a run that is looked at is as quiet
     * as before.
     */
    private final LinkedHashMap<String, RunEntry> open = new LinkedHashMap<>();

    /** Runs that are not, or not known to be, likewise. */
    private final LinkedHashMap<String, RunEntry> others = new LinkedHashMap<>();

    /** Runs that were closed without any request, apart, so that they take no other's place. */
    private final LinkedHashMap<String, RunEntry> empty = new LinkedHashMap<>();

    private long evicted;

    /**
     * An empty history.
     *
     * @param keep how many runs that are not open are remembered, and as many that had no request
     * @param maxOpen how many runs may be open
     * @param idleTimeout how long an open run may go without a request
     * @param maxRequests how many requests of each run are remembered one by one
     * @throws IllegalArgumentException if keep or maxRequests is negative, or maxOpen or idleTimeout is not positive
     */
    public RunHistory(int keep, int maxOpen, Duration idleTimeout, int maxRequests) {
        this(keep, maxOpen, idleTimeout, maxRequests, Clock.systemUTC());
    }

    RunHistory(int keep, int maxOpen, Duration idleTimeout, int maxRequests, Clock clock) {
        this.keep = atLeast(0, "keep", keep);
        this.maxOpen = atLeast(1, "maxOpen", maxOpen);
        if (idleTimeout.isNegative() || idleTimeout.isZero()) {
            throw new IllegalArgumentException("idleTimeout must be positive, but is " + idleTimeout);
        }
        this.idleTimeout = idleTimeout;
        this.maxRequests = atLeast(0, "maxRequests", maxRequests);
        this.clock = clock;
    }

    private static int atLeast(int min, String name, int value) {
        if (value < min) {
            throw new IllegalArgumentException("%s must be %d or more, but is %d".formatted(name, min, value));
        }
        return value;
    }

    @Override
    public synchronized void accept(RequestUsage request) {
        String runId = request.runId();
        if (runId == null) {
            return;
        }
        Instant now = clock.instant();
        Map<String, RunEntry> entries = open.containsKey(runId) ? open : others;
        RunEntry entry = remove(runId);
        if (entry == null) {
            entry = new RunEntry(runId, RunState.SEEN, request.start(), now, maxRequests);
        }
        entry.add(request, now);
        entries.put(runId, entry);
        trim(entries);
    }

    private @Nullable RunEntry remove(String runId) {
        RunEntry entry = find(runId);
        open.remove(runId);
        others.remove(runId);
        empty.remove(runId);
        return entry;
    }

    private @Nullable RunEntry find(String runId) {
        RunEntry entry = open.get(runId);
        if (entry == null) {
            entry = others.get(runId);
        }
        return entry != null ? entry : empty.get(runId);
    }

    /**
     * A run is opened. One that was there before goes on.
     *
     * @param onEvicted is run if it is evicted, on whatever thread finds that out; must not throw
     * @throws IllegalArgumentException if it is open already
     */
    void open(RunScope scope, Runnable onEvicted) {
        evicting(now -> add(scope, onEvicted, now), () -> null);
    }

    private void add(RunScope scope, Runnable onEvicted, Instant now) {
        String runId = scope.runId();
        if (open.containsKey(runId)) {
            throw new IllegalArgumentException("runId must not be that of an open run, but is \"" + runId + "\"");
        }
        RunEntry entry = remove(runId);
        if (entry == null) {
            entry = new RunEntry(runId, RunState.OPEN, now, now, maxRequests);
        }
        entry.open(scope, onEvicted, now);
        open.put(runId, entry);
    }

    /** A run is closed. Nothing happens if it was evicted, or opened again by somebody else. */
    void close(RunScope scope) {
        end(scope);
        scope.tally().whenSettled(() -> settled(scope));
    }

    /** The scope of a run that is at work, or null if that is not known. */
    synchronized @Nullable RunScope scope(String runId) {
        RunEntry entry = find(runId);
        return entry == null ? null : entry.scope();
    }

    private synchronized void end(RunScope scope) {
        RunEntry entry = open.get(scope.runId());
        if (entry != null && entry.scope() == scope) {
            end(entry, RunState.CLOSED, clock.instant());
        }
    }

    private void end(RunEntry entry, RunState how, Instant now) {
        open.remove(entry.runId());
        entry.end(how, now);
        Map<String, RunEntry> entries = how == RunState.EVICTED || entry.hasRequests() ? others : empty;
        entries.put(entry.runId(), entry);
        trim(entries);
    }

    private synchronized void settled(RunScope scope) {
        RunEntry entry = find(scope.runId());
        if (entry != null) {
            entry.settled(scope);
        }
    }

    /** An evicted run keeps its scope, since it may still be at work. */
    private List<Runnable> evict(Instant now) {
        List<Runnable> told = new ArrayList<>();
        for (int looks = open.size(); looks > 0; looks--) {
            RunEntry quietest = open.values().iterator().next();
            boolean idle = Duration.between(quietest.lastActive(), now).compareTo(idleTimeout) >= 0;
            if (open.size() <= maxOpen && !idle) {
                break;
            }
            if (open.size() <= maxOpen && quietest.isWaiting()) {
                // A long answer is no idleness.
                quietest.active(now);
                open.remove(quietest.runId());
                open.put(quietest.runId(), quietest);
                continue;
            }
            evicted++;
            told.add(quietest.onEvicted());
            end(quietest, RunState.EVICTED, now);
        }
        return told;
    }

    /** Changes something, evicts what is to be evicted by then, and reads something. Those evicted are told without the lock. */
    private <T extends @Nullable Object> T evicting(Consumer<Instant> change, Supplier<T> read) {
        List<Runnable> told;
        T result;
        synchronized (this) {
            Instant now = clock.instant();
            change.accept(now);
            told = evict(now);
            result = read.get();
        }
        told.forEach(Runnable::run);
        return result;
    }

    private void trim(Map<String, RunEntry> entries) {
        while (entries != open && entries.size() > keep) {
            entries.remove(entries.keySet().iterator().next());
        }
    }

    /** The runs that are remembered, those that began last first; of those that were closed, the ones that had a request. */
    public List<RunRecord> runs() {
        return evicting(
                now -> {}, () -> entries().stream().map(RunEntry::record).toList());
    }

    /**
     * The runs that are remembered, at a glance and at one moment.
     *
     * @param limit how many runs are in it one by one; its sums have all of them
     * @throws IllegalArgumentException if the limit is negative
     */
    public RunOverview overview(int limit) {
        atLeast(0, "limit", limit);
        return evicting(now -> {}, () -> glance(limit));
    }

    private RunOverview glance(int limit) {
        RunOverview.Totals totals = new RunOverview.Totals();
        List<RunEntry> entries = entries();
        entries.forEach(entry -> entry.addTo(totals));
        List<RunRecord> runs = entries.stream()
                .limit(limit)
                .map(RunEntry::recordWithoutRequests)
                .toList();
        return totals.overview(runs, entries.size() - runs.size(), open.size(), evicted);
    }

    private List<RunEntry> entries() {
        List<RunEntry> entries = new ArrayList<>(open.size() + others.size());
        entries.addAll(open.values());
        entries.addAll(others.values());
        entries.sort(Comparator.comparing(RunEntry::start).reversed().thenComparing(RunEntry::runId));
        return entries;
    }

    /** The run of an id, or empty if it is not remembered. */
    public Optional<RunRecord> run(String runId) {
        return evicting(now -> {}, () -> Optional.ofNullable(find(runId)).map(RunEntry::record));
    }

    /** How many runs are open. */
    public int open() {
        return evicting(now -> {}, open::size);
    }

    /** How many runs were never closed and given up, since the history began. */
    public long evicted() {
        return evicting(now -> {}, () -> evicted);
    }
}
