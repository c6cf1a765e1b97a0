package io.fluxtally.usage;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The accumulator behind a run: requests go in, {@link RunUsage} snapshots come out.
 *
 * <p>A request is added once, however often it is offered: its {@link RequestUsage#requestId()} tells. A tally made by
 * {@link #branch()} starts from zero and hands every request on to the tally it was made from, so that a part of a run
 * (a node, a parallel branch, a sub-agent) can be read on its own and is in the whole exactly once.
 *
 * <p>Safe for use by any number of threads; nothing in it blocks. A snapshot is always consistent: it holds the requests
 * whose {@code add} took effect before it, and its total is their sum.
 */
public final class RunTally {

    private final @Nullable RunTally parent;
    private final AtomicReference<RunUsage.@Nullable Entry> last = new AtomicReference<>();
    private final AtomicLong open = new AtomicLong();

    /** How many requests had begun before what was restored was stored, and are not to end any more. */
    private final AtomicLong lost = new AtomicLong();

    /** What waits for nothing to be in flight, or null. */
    private final AtomicReference<@Nullable Runnable> waiting = new AtomicReference<>();

    /** How many requests are booked or have a place held for them. In one number, so that no request is seen twice or not at all. */
    private final AtomicLong places = new AtomicLong();

    private final Set<String> requestIds = ConcurrentHashMap.newKeySet();

    /** The requests that are counted here and not above. */
    private volatile Set<String> restored = Set.of();

    /** A tally of its own, empty. */
    public RunTally() {
        this(null);
    }

    private RunTally(@Nullable RunTally parent) {
        this.parent = parent;
    }

    /** An empty tally for a part of this one: what is added to it is added here too. */
    public RunTally branch() {
        return new RunTally(this);
    }

    /**
     * Adds a request here and to all tallies above.
     *
     * @return whether it was new here
     */
    public boolean add(RequestUsage request) {
        return add(request, tally -> false);
    }

    /**
     * Adds a request here and to all tallies above, for which places may be held.
     *
     * @param request the request
     * @param takesPlace whether the request takes a place that was {@linkplain #holdPlace held} for it in the given tally;
     *     asked once for each tally that the request is new to
     * @return whether it was new here
     */
    public boolean add(RequestUsage request, Predicate<? super RunTally> takesPlace) {
        boolean added = addHere(request, takesPlace);
        if (parent != null && !restored.contains(request.requestId())) {
            parent.add(request, takesPlace);
        }
        return added;
    }

    private boolean addHere(RequestUsage request, Predicate<? super RunTally> takesPlace) {
        boolean added = requestIds.add(request.requestId());
        if (added) {
            if (!takesPlace.test(this)) {
                places.incrementAndGet();
            }
            RunUsage.Entry entry = new RunUsage.Entry(request);
            RunUsage.Entry current;
            do {
                current = last.get();
            } while (!last.compareAndSet(current, entry.after(current)));
        }
        return added;
    }

    /**
     * Adds what this run, or part of a run, had used before it was interrupted, so that it goes on from there: here alone,
     * since for the tallies above it is not new, now or when it is added again. Requests that are here already stay as they
     * are. What was in flight then stays so: its figures are not to come any more.
     */
    public void restore(RunUsage before) {
        Set<String> all = new HashSet<>(restored);
        for (RequestUsage request : before.requests()) {
            if (addHere(request, tally -> false)) {
                all.add(request.requestId());
            }
        }
        restored = all;
        lost.addAndGet(before.inFlight());
    }

    /**
     * Holds a place for a request to come, if fewer than the given number are taken by requests that were added or have
     * a place held. It is held in this tally alone, until a request takes it or it is {@linkplain #leavePlace() left}.
     *
     * @param max the most that may be taken
     * @return how many were taken before; a place is held exactly if they are fewer than max
     */
    public long holdPlace(long max) {
        long taken;
        do {
            taken = places.get();
            if (taken >= max) {
                return taken;
            }
        } while (!places.compareAndSet(taken, taken + 1));
        return taken;
    }

    /** Gives back a place that was held for a request that is not to come. */
    public void leavePlace() {
        places.decrementAndGet();
    }

    /**
     * Says that a request has begun whose figure is still to come: until {@link #ended()} is called, no snapshot of this
     * tally or of those above is complete.
     */
    public void begun() {
        open.incrementAndGet();
        if (parent != null) {
            parent.begun();
        }
    }

    /** Says that a request that has {@linkplain #begun() begun} was added, or turned out to be none. */
    public void ended() {
        boolean settled = open.decrementAndGet() == 0;
        if (parent != null) {
            parent.ended();
        }
        if (settled) {
            settled();
        }
    }

    /**
     * Runs an action once, as soon as nothing is in flight that can still end: now, or on the thread that says so. One
     * action can wait; a later one takes its place. It must not throw.
     */
    public void whenSettled(Runnable action) {
        waiting.set(action);
        if (open.get() == 0) {
            settled();
        }
    }

    private void settled() {
        Runnable action = waiting.getAndSet(null);
        if (action != null) {
            action.run();
        }
    }

    /** Adds all requests of a snapshot that are not here yet, here and to all tallies above. */
    public void addAll(RunUsage usage) {
        usage.requests().forEach(this::add);
    }

    /** What was added so far. */
    public RunUsage usage() {
        // In this order: a request that ends in between may be seen twice, as open and as added, but never not at all.
        long inFlight = open.get() + lost.get();
        return new RunUsage(last.get(), inFlight);
    }
}
