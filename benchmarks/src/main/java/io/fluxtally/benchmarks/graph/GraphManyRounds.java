package io.fluxtally.benchmarks.graph;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** A run that comes to one node far more often than Spring AI Alibaba's can. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// The new pages of a heap that grows would be measured too: a run of many rounds has hundreds of megabytes of garbage.
@Fork(
        value = 2,
        jvmArgsAppend = {"-Xms3g", "-Xmx3g", "-XX:+AlwaysPreTouch"})
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 5, time = 3)
@NullUnmarked
public class GraphManyRounds {

    /** How often the run comes to the node. */
    @Param({"1000", "10000", "100000"})
    public int rounds;

    private io.fluxtally.graph.CompiledGraph fluxtally;

    @Setup
    public void compile() {
        ScriptedModel model = ScriptedModel.answering(1);
        fluxtally = FluxtallyGraphs.loop(model, rounds);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(rounds, fluxtally.invoke(Map.of()).map(end -> (long) FluxtallyGraphs.count(end)));
    }
}
