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

/** A run that comes to one node again and again, which asks a model each time. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// Spring AI Alibaba nests its steps: with the stack that is the default it stops answering before 400 of them.
@Fork(value = 2, jvmArgsAppend = "-Xss4m")
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@NullUnmarked
public class GraphRounds {

    /** How often the run comes to the node. */
    @Param({"10", "100", "400"})
    public int rounds;

    private io.fluxtally.graph.CompiledGraph fluxtally;
    private com.alibaba.cloud.ai.graph.CompiledGraph saa;
    private org.bsc.langgraph4j.CompiledGraph<AgentState> langGraph;

    @Setup
    public void compile() throws GraphStateException, org.bsc.langgraph4j.GraphStateException {
        ScriptedModel model = ScriptedModel.answering(1);
        fluxtally = FluxtallyGraphs.loop(model, rounds);
        langGraph = LangGraphs.loop(model, rounds);
        saa = SaaGraphs.loop(model, rounds);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(rounds, fluxtally.invoke(Map.of()).map(end -> (long) FluxtallyGraphs.count(end)));
    }

    @Benchmark
    public long langgraph4j() {
        return Outcome.atLeast(rounds, Mono.fromCallable(() -> LangGraphs.counted(langGraph)));
    }

    @Benchmark
    public long saa() {
        return Outcome.atLeast(rounds, saa.stream(Map.of()).last().map(end -> (long) SaaGraphs.count(end.state())));
    }
}
