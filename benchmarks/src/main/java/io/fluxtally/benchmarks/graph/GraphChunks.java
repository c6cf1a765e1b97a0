package io.fluxtally.benchmarks.graph;

import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.bsc.langgraph4j.state.AgentState;
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
import reactor.core.publisher.Mono;

/** A run of one node that streams. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// Spring AI Alibaba nests its steps: with the stack that is the default it stops answering before 400 of them.
@Fork(value = 2, jvmArgsAppend = "-Xss4m")
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@NullUnmarked
public class GraphChunks {

    /** How many chunks the node streams. */
    @Param({"1000", "10000", "40000"})
    public int chunks;

    private io.fluxtally.graph.CompiledGraph fluxtally;
    private com.alibaba.cloud.ai.graph.CompiledGraph saa;
    private org.bsc.langgraph4j.CompiledGraph<AgentState> langGraph;

    @Setup
    public void compile() throws GraphStateException, org.bsc.langgraph4j.GraphStateException {
        ScriptedModel model = ScriptedModel.answering(chunks);
        fluxtally = FluxtallyGraphs.streaming(model);
        langGraph = LangGraphs.streaming(model);
        saa = SaaGraphs.streaming(model);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(chunks, fluxtally.stream(Map.of()).count());
    }

    @Benchmark
    public long langgraph4j() {
        return Outcome.atLeast(
                chunks,
                Mono.fromCallable(() -> langGraph.stream(Map.of()).stream().count()));
    }

    @Benchmark
    public long saa() {
        return Outcome.atLeast(chunks, saa.stream(Map.of()).count());
    }
}
