package io.fluxtally.benchmarks.graph;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.KeyStrategy;
import com.alibaba.cloud.ai.graph.KeyStrategyFactory;
import com.alibaba.cloud.ai.graph.OverAllState;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncEdgeAction;
import com.alibaba.cloud.ai.graph.action.AsyncNodeAction;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;

/** The graphs of the benchmarks as an app writes them with Spring AI Alibaba. */
final class SaaGraphs {

    private static final String MESSAGES = "messages";
    private static final String COUNT = "count";

    private SaaGraphs() {}

    private static StateGraph graph() {
        KeyStrategyFactory strategies = () -> {
            Map<String, KeyStrategy> keys = new HashMap<>();
            keys.put(MESSAGES, KeyStrategy.APPEND);
            return keys;
        };
        return new StateGraph(strategies);
    }

    /** Without a saver: the default one keeps what all runs have written, so that each goes on where the last one ended. */
    private static CompileConfig config(int steps) {
        return CompileConfig.builder()
                .saverConfig(SaverConfig.builder().build())
                .recursionLimit(steps + 10)
                .build();
    }

    /** One node that streams what the model answers. */
    static CompiledGraph streaming(ChatModel model) throws GraphStateException {
        return graph().addNode(
                        "ask",
                        AsyncNodeAction.node_async(state -> Map.of(MESSAGES, model.stream(new Prompt("question")))))
                .addEdge(StateGraph.START, "ask")
                .addEdge("ask", StateGraph.END)
                .compile(config(1));
    }

    /** One node that asks the model and counts, again and again. */
    static CompiledGraph loop(ChatModel model, int rounds) throws GraphStateException {
        return graph().addNode("ask", AsyncNodeAction.node_async(state -> {
                    model.call(new Prompt("question"));
                    int count = state.value(COUNT, 0);
                    return Map.of(COUNT, count + 1);
                }))
                .addEdge(StateGraph.START, "ask")
                .addConditionalEdges(
                        "ask",
                        AsyncEdgeAction.edge_async(state -> SaaGraphs.count(state) < rounds ? "on" : "end"),
                        Map.of("on", "ask", "end", StateGraph.END))
                .compile(config(rounds));
    }

    /** What the loop has counted. */
    static int count(OverAllState state) {
        return state.value(COUNT, 0);
    }

    /** Nodes side by side, each of which asks the model and writes a key of its own. */
    static CompiledGraph branches(ChatModel model, int branches) throws GraphStateException {
        StateGraph graph = graph().addNode("join", AsyncNodeAction.node_async(state -> Map.of(COUNT, branches)))
                .addEdge("join", StateGraph.END);
        for (String branch : FluxtallyGraphs.ids(branches)) {
            graph.addNode(branch, AsyncNodeAction.node_async(state -> {
                        model.call(new Prompt("question"));
                        return Map.of(branch, "answer");
                    }))
                    .addEdge(StateGraph.START, branch)
                    .addEdge(branch, "join");
        }
        return graph.compile(config(branches));
    }

    /** An agent with a tool. */
    static ReactAgent agent(ChatModel model, int rounds) {
        return ReactAgent.builder()
                .name("agent")
                .model(model)
                .tools(List.of(new LookTool()))
                .compileConfig(config(4 * rounds))
                .build();
    }
}
