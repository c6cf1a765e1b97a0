package io.fluxtally.benchmarks.tally;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Group;
import org.openjdk.jmh.annotations.GroupThreads;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** Three threads add requests to a run, and a fourth looks at its sums all the time, and counts those that are of no moment. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 2)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class TallySnapshot {

    @Benchmark
    @Group("fluxtally")
    @GroupThreads(3)
    public void fluxtallyAdd(Run.Tally run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    @Group("fluxtally")
    @GroupThreads(1)
    public Object fluxtallySnapshot(Run.Tally run, Run.Looking thread) {
        return run.sum(thread);
    }

    @Benchmark
    @Group("lockedSame")
    @GroupThreads(3)
    public void lockedSameAdd(Run.Locked run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    @Group("lockedSame")
    @GroupThreads(1)
    public Object lockedSameSnapshot(Run.Locked run, Run.Looking thread) {
        return run.sum(thread);
    }

    @Benchmark
    @Group("lockedSums")
    @GroupThreads(3)
    public void lockedSumsAdd(Run.LockedSums run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    @Group("lockedSums")
    @GroupThreads(1)
    public Object lockedSumsSnapshot(Run.LockedSums run, Run.Looking thread) {
        return run.sum(thread);
    }

    @Benchmark
    @Group("casSums")
    @GroupThreads(3)
    public void casSumsAdd(Run.CasSums run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    @Group("casSums")
    @GroupThreads(1)
    public Object casSumsSnapshot(Run.CasSums run, Run.Looking thread) {
        return run.sum(thread);
    }

    @Benchmark
    @Group("adders")
    @GroupThreads(3)
    public void addersAdd(Run.Adders run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    @Group("adders")
    @GroupThreads(1)
    public Object addersSnapshot(Run.Adders run, Run.Looking thread) {
        return run.sum(thread);
    }
}
