package io.fluxtally.benchmarks.graph;

import java.util.ArrayList;
import java.util.Map;
import org.bsc.async.AsyncGenerator;
import org.bsc.async.FlowGenerator;
import org.bsc.langgraph4j.CompileConfig;
import org.bsc.langgraph4j.CompiledGraph;
import org.bsc.langgraph4j.GraphStateException;
import org.bsc.langgraph4j.NodeOutput;
import org.bsc.langgraph4j.StateGraph;
import org.bsc.langgraph4j.action.AsyncEdgeAction;
import org.bsc.langgraph4j.action.AsyncNodeAction;
import org.bsc.langgraph4j.state.AgentState;
import org.bsc.langgraph4j.state.Channel;
import org.bsc.langgraph4j.state.Channels;
import org.bsc.langgraph4j.streaming.StreamingOutput;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.adapter.JdkFlowAdapter;
import reactor.core.publisher.Flux;

/** The graphs of the benchmarks as an app writes them with LangGraph4j. */
final class LangGraphs {

    private static final String MESSAGES = "messages";
    private static final String COUNT = "count";

    private LangGraphs() {}

    private static StateGraph<AgentState> graph() {
        Channel<?> messages = Channels.appenderWithDuplicate(ArrayList<String>::new);
        return new StateGraph<>(Map.of(MESSAGES, messages), AgentState::new);
    }

    private static CompileConfig config(int steps) {
        return CompileConfig.builder().recursionLimit(steps + 10).build();
    }

    /** One node that streams what the model answers. */
    static CompiledGraph<AgentState> streaming(ChatModel model) throws GraphStateException {
        return graph().addNode("ask", AsyncNodeAction.node_async(state -> Map.of(MESSAGES, answer(model, state))))
                .addEdge(StateGraph.START, "ask")
                .addEdge("ask", StateGraph.END)
                .compile(config(1));
    }

    /** The text alone is kept: what is kept has to be serializable, and a message is not. */
    private static AsyncGenerator<NodeOutput<AgentState>> answer(ChatModel model, AgentState state) {
        StringBuilder whole = new StringBuilder();
        Flux<NodeOutput<AgentState>> chunks = model.stream(new Prompt("question"))
                .map(chunk -> {
                    whole.append(text(chunk));
                    return new StreamingOutput<>(text(chunk), "ask", state, null);
                });
        return FlowGenerator.fromPublisher(
                JdkFlowAdapter.publisherToFlowPublisher(chunks), () -> Map.of(MESSAGES, whole.toString()));
    }

    private static String text(ChatResponse chunk) {
        String text = chunk.getResult().getOutput().getText();
        return text == null ? "" : text;
    }

    /** One node that asks the model and counts, again and again. */
    static CompiledGraph<AgentState> loop(ChatModel model, int rounds) throws GraphStateException {
        return graph().addNode("ask", AsyncNodeAction.node_async(state -> {
                    model.call(new Prompt("question"));
                    return Map.of(COUNT, count(state) + 1);
                }))
                .addEdge(StateGraph.START, "ask")
                .addConditionalEdges(
                        "ask",
                        AsyncEdgeAction.edge_async(state -> count(state) < rounds ? "on" : "end"),
                        Map.of("on", "ask", "end", StateGraph.END))
                .compile(config(rounds));
    }

    /** What the loop has counted. */
    static int count(AgentState state) {
        return state.<Integer>value(COUNT).orElse(0);
    }

    /** Nodes side by side, each of which asks the model and writes a key of its own. */
    static CompiledGraph<AgentState> branches(ChatModel model, int branches) throws GraphStateException {
        StateGraph<AgentState> graph = graph().addNode(
                        "join", AsyncNodeAction.node_async(state -> Map.of(COUNT, branches)))
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

    /** What the state of the end says was counted. */
    static long counted(CompiledGraph<AgentState> graph) {
        return graph.invoke(Map.of()).map(LangGraphs::count).orElse(0);
    }
}
