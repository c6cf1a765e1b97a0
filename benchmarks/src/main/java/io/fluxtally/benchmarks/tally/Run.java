package io.fluxtally.benchmarks.tally;

import io.fluxtally.usage.RequestUsage;
import java.util.function.Supplier;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A run that several threads add to, and that is followed by another before it gets longer than runs are.
 *
 * <p>Safe for use by the threads of a benchmark.
 */
@NullUnmarked
public abstract class Run {

    /** How many requests a thread adds before a new run begins. */
    private static final int REQUESTS = 1_000;

    private final Supplier<Sums> kind;
    private volatile Sums current;
    private volatile Sums previous;

    Run(Supplier<Sums> kind) {
        this.kind = kind;
        this.current = kind.get();
    }

    void add(Adding thread) {
        current.add(thread.requests[thread.next]);
        if (++thread.next == REQUESTS) {
            thread.next = 0;
            previous = current;
            current = kind.get();
        }
    }

    Sums.Sum sum(Looking thread) {
        Sums.Sum sum = current.sum();
        thread.snapshots++;
        if (!sum.isConsistent()) {
            thread.inconsistent++;
        }
        return sum;
    }

    /** Nobody adds any more: each request that was added to the last runs is in all sums of its run. */
    @TearDown
    public void check() {
        for (Sums sums : previous == null ? new Sums[] {current} : new Sums[] {current, previous}) {
            if (!sums.sum().isConsistent()) {
                throw new IllegalStateException("%s is not the sum of its requests".formatted(sums.sum()));
            }
        }
        if (current.sum().requests() == 0 && previous == null) {
            throw new IllegalStateException("nothing was added");
        }
    }

    /** A thread that adds, and the requests that it has for a run. */
    @State(Scope.Thread)
    public static class Adding {

        private RequestUsage[] requests;
        private int next;

        @Setup
        public void prepare() {
            requests = Request.some(REQUESTS);
        }
    }

    /** A thread that looks at the sums while others add. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.EVENTS)
    public static class Looking {

        /** How many snapshots there were. */
        public long snapshots;

        /** How many of them were not of one moment. */
        public long inconsistent;
    }

    /** A run with Fluxtally's tally. */
    @State(Scope.Benchmark)
    public static class Tally extends Run {

        public Tally() {
            super(Sums.Tally::new);
        }
    }

    /** A run with a lock around the same job. */
    @State(Scope.Benchmark)
    public static class Locked extends Run {

        public Locked() {
            super(Sums.Locked::new);
        }
    }

    /** A run with a lock around sums. */
    @State(Scope.Benchmark)
    public static class LockedSums extends Run {

        public LockedSums() {
            super(Sums.LockedSums::new);
        }
    }

    /** A run with sums that are replaced as a whole. */
    @State(Scope.Benchmark)
    public static class CasSums extends Run {

        public CasSums() {
            super(Sums.CasSums::new);
        }
    }

    /** A run with sums each for itself. */
    @State(Scope.Benchmark)
    public static class Adders extends Run {

        public Adders() {
            super(Sums.Adders::new);
        }
    }
}
