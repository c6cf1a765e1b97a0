package io.fluxtally.benchmarks.graph;

import io.fluxtally.graph.CompileConfig;
import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.NodeResult;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.agent.ReactAgent;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;

/** The graphs of the benchmarks as an app writes them with graph-core. */
final class FluxtallyGraphs {

    private static final String MESSAGES = "messages";
    private static final String COUNT = "count";

    private FluxtallyGraphs() {}

    /** One node that streams what the model answers. */
    static CompiledGraph streaming(ChatModel model) {
        return new StateGraph("streaming")
                .keyStrategy(MESSAGES, KeyStrategy.APPEND)
                .addNode("ask", new LlmNode(model, state -> new Prompt("question"), MESSAGES))
                .addEdge(StateGraph.START, "ask")
                .addEdge("ask", StateGraph.END)
                .compile();
    }

    /** One node that asks the model and counts, again and again. */
    static CompiledGraph loop(ChatModel model, int rounds) {
        return new StateGraph("loop")
                .addNode("ask", (state, run) -> {
                    run.capture(model).call(new Prompt("question"));
                    return NodeResult.update(
                            COUNT, state.value(COUNT, Integer.class).orElse(0) + 1);
                })
                .addEdge(StateGraph.START, "ask")
                .addConditionalEdges(
                        "ask",
                        state -> state.value(COUNT, Integer.class).orElse(0) < rounds ? "on" : "end",
                        Map.of("on", "ask", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(rounds));
    }

    /** What the loop has counted. */
    static int count(NodeOutput end) {
        return end.state().value(COUNT, Integer.class).orElse(0);
    }

    /** Nodes side by side, each of which asks the model and writes a key of its own. */
    static CompiledGraph branches(ChatModel model, int branches) {
        StateGraph graph = new StateGraph("branches")
                .addNode("join", (state, run) -> NodeResult.update(COUNT, branches))
                .addEdge("join", StateGraph.END);
        for (String branch : ids(branches)) {
            graph.addNode(branch, (state, run) -> {
                        run.capture(model).call(new Prompt("question"));
                        return NodeResult.update(branch, "answer");
                    })
                    .addEdge(StateGraph.START, branch)
                    .addEdge(branch, "join");
        }
        return graph.compile();
    }

    /** The ids of so many branches. */
    static List<String> ids(int branches) {
        return IntStream.range(0, branches).mapToObj(i -> "branch-" + i).toList();
    }

    /** An agent with a tool. */
    static ReactAgent agent(ChatModel model, int rounds) {
        return ReactAgent.builder("agent")
                .model(model)
                .tools(new LookTool())
                .maxRounds(rounds)
                .build();
    }
}
