package io.fluxtally.benchmarks.tally;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** A request is added to a run, by as many threads as {@code -t} says. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 2)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class TallyAdd {

    @Benchmark
    public void fluxtally(Run.Tally run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    public void lockedSame(Run.Locked run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    public void lockedSums(Run.LockedSums run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    public void casSums(Run.CasSums run, Run.Adding thread) {
        run.add(thread);
    }

    @Benchmark
    public void adders(Run.Adders run, Run.Adding thread) {
        run.add(thread);
    }
}
