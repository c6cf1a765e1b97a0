package io.fluxtally.usage;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The accumulator behind a run: requests go in, {@link RunUsage} snapshots come out.
 *
 * <p>A request is added once, however often it is offered: its {@link RequestUsage#requestId()} tells. A tally made by
 * {@link #branch()} starts from zero and hands every request on to the tally it was made from, so that a part of a run
 * (a node, a parallel branch, a sub-agent) can be read on its own and is in the whole exactly once.
 *
 * <p>Safe for use by any number of threads. One that adds waits for others that do, each for as long as a few fields take to
 * be written, and for nothing else; one that reads never waits. A snapshot is always consistent: it holds the requests whose
 * {@code add} took effect before it, and its total is their sum.
 */
public final class RunTally {

    private final @Nullable RunTally parent;

    /** Guards what is written when a request is added. Nothing is called while it is held that could wait for something. */
    private final ReentrantLock lock = new ReentrantLock();

    private final RequestTable requests = new RequestTable();

    /** How many requests are booked or have a place held for them. In one number, so that no request is seen twice or not at all. */
    private long places;

    /** The request that was booked last, and by it all others; written under the lock, and read without it. */
    private final AtomicReference<RunUsage.@Nullable Entry> last = new AtomicReference<>();

    private final AtomicLong open = new AtomicLong();

    /** How many requests had begun before what was restored was stored, and are not to end any more. */
    private final AtomicLong lost = new AtomicLong();

    /** What waits for nothing to be in flight, or null. */
    private final AtomicReference<@Nullable Runnable> waiting = new AtomicReference<>();

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
        boolean added = addHere(request);
        RunTally above = above(request);
        if (above != null) {
            above.add(request);
        }
        return added;
    }

    /**
     * Adds a request here and to all tallies above, for which places may be held.
     *
     * @param request the request
     * @param takesPlace whether the request takes a place that was {@linkplain #holdPlace held} for it in the given tally;
     *     asked once for each tally that the request is new to; what it throws is thrown on, once the request is added here
     * @return whether it was new here
     */
    public boolean add(RequestUsage request, Predicate<? super RunTally> takesPlace) {
        boolean added = addHere(request, takesPlace);
        RunTally above = above(request);
        if (above != null) {
            above.add(request, takesPlace);
        }
        return added;
    }

    /** The tally that a request is to be added to as well, or null. */
    private @Nullable RunTally above(RequestUsage request) {
        return restored.contains(request.requestId()) ? null : parent;
    }

    private boolean addHere(RequestUsage request) {
        int hash = RequestTable.hash(request);
        lock.lock();
        try {
            boolean added = requests.add(request, hash);
            if (added) {
                book(request, 1);
            }
            return added;
        } finally {
            lock.unlock();
        }
    }

    /** In two steps: what is asked in between is not ours, so it is not asked under the lock. */
    private boolean addHere(RequestUsage request, Predicate<? super RunTally> takesPlace) {
        int hash = RequestTable.hash(request);
        lock.lock();
        try {
            if (!requests.add(request, hash)) {
                return false;
            }
        } finally {
            lock.unlock();
        }
        int more = 1;
        try {
            more = takesPlace.test(this) ? 0 : 1;
        } finally {
            lock.lock();
            try {
                book(request, more);
            } finally {
                lock.unlock();
            }
        }
        return true;
    }

    private void book(RequestUsage request, int more) {
        places += more;
        last.setRelease(new RunUsage.Entry(request, last.getPlain()));
    }

    /**
     * Adds what this run, or part of a run, had used before it was interrupted, so that it goes on from there: here alone,
     * since for the tallies above it is not new, now or when it is added again. Requests that are here already stay as they
     * are. What was in flight then stays so: its figures are not to come any more.
     */
    public void restore(RunUsage before) {
        Set<String> all = new HashSet<>(restored);
        for (RequestUsage request : before.requests()) {
            if (addHere(request)) {
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
        lock.lock();
        try {
            long taken = places;
            if (taken < max) {
                places++;
            }
            return taken;
        } finally {
            lock.unlock();
        }
    }

    /** Gives back a place that was held for a request that is not to come. */
    public void leavePlace() {
        lock.lock();
        try {
            places--;
        } finally {
            lock.unlock();
        }
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
