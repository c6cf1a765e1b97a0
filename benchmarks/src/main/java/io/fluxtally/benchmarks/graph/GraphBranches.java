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

/** A run of branches side by side, each of which asks a model. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// Spring AI Alibaba nests its steps, and leaves threads behind.
@Fork(
        value = 2,
        jvmArgsAppend = {"-Xss4m", "-Djmh.shutdownTimeout=1"})
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@NullUnmarked
public class GraphBranches {

    /** How many branches there are. */
    @Param({"2", "8", "64"})
    public int branches;

    private io.fluxtally.graph.CompiledGraph fluxtally;
    private com.alibaba.cloud.ai.graph.CompiledGraph saa;
    private org.bsc.langgraph4j.CompiledGraph<AgentState> langGraph;

    @Setup
    public void compile() throws GraphStateException, org.bsc.langgraph4j.GraphStateException {
        ScriptedModel model = ScriptedModel.answering(1);
        fluxtally = FluxtallyGraphs.branches(model, branches);
        langGraph = LangGraphs.branches(model, branches);
        saa = SaaGraphs.branches(model, branches);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(branches, fluxtally.invoke(Map.of()).map(end -> (long) FluxtallyGraphs.count(end)));
    }

    @Benchmark
    public long langgraph4j() {
        return Outcome.atLeast(branches, Mono.fromCallable(() -> LangGraphs.counted(langGraph)));
    }

    @Benchmark
    public long saa() {
        return Outcome.atLeast(branches, saa.stream(Map.of()).last().map(end -> (long) SaaGraphs.count(end.state())));
    }
}
