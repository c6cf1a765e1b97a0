package io.fluxtally.benchmarks.graph;

import com.alibaba.cloud.ai.graph.exception.GraphRunnerException;
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

/** An agent that asks for a tool in every round but the last, streamed. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// Spring AI Alibaba nests its steps: with the stack that is the default it stops answering before 400 of them.
@Fork(value = 2, jvmArgsAppend = "-Xss4m")
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
@NullUnmarked
public class GraphAgent {

    /** How many rounds the agent needs. */
    @Param({"10", "50", "100"})
    public int rounds;

    private io.fluxtally.graph.agent.ReactAgent fluxtally;
    private com.alibaba.cloud.ai.graph.agent.ReactAgent saa;

    @Setup
    public void build() {
        ScriptedModel model = ScriptedModel.asking(rounds - 1);
        fluxtally = FluxtallyGraphs.agent(model, rounds);
        saa = SaaGraphs.agent(model, rounds);
    }

    @Benchmark
    public long fluxtally() {
        return Outcome.atLeast(rounds, fluxtally.stream("question").count());
    }

    @Benchmark
    public long saa() throws GraphRunnerException {
        return Outcome.atLeast(rounds, saa.stream("question").count());
    }
}
