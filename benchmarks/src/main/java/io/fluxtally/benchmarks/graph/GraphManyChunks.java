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

/** A run of one node that streams for long. */
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
public class GraphManyChunks {

    /** How many chunks the node streams. */
    @Param({"200000"})
    public int chunks;

    private io.fluxtally.graph.CompiledGraph fluxtally;

    @Setup
    public void compile() {
        ScriptedModel model = ScriptedModel.answering(chunks);
        fluxtally = FluxtallyGraphs.streaming(model);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(chunks, fluxtally.stream(Map.of()).count());
    }
}
