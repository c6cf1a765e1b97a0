package io.fluxtally.graph.scripted;

import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.agent.LlmNode;
import java.util.Map;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;

/** Graphs that many tests need. */
public final class Graphs {

    /** The key that {@link #asks} appends its answers to. */
    public static final String ANSWERS = "answers";

    private Graphs() {}

    /** A graph of one node, named {@code node}. */
    public static StateGraph single(NodeAction action) {
        return new StateGraph("single")
                .addNode("node", action)
                .addEdge(StateGraph.START, "node")
                .addEdge("node", StateGraph.END);
    }

    /** Adds edges, from the node before {@code >} to each behind it; {@code start} and {@code end} are the graph's. */
    public static StateGraph edges(StateGraph graph, String... lines) {
        for (String line : lines) {
            String[] sides = line.split(" > ");
            for (String to : sides[1].split(" ")) {
                graph.addEdge(
                        sides[0].equals("start") ? StateGraph.START : sides[0], to.equals("end") ? StateGraph.END : to);
            }
        }
        return graph;
    }

    /** A graph of a node {@code first} and a node {@code second}. */
    public static StateGraph pair(NodeAction first, NodeAction second) {
        return new StateGraph("pair")
                .keyStrategy(ANSWERS, KeyStrategy.APPEND)
                .addNode("first", first)
                .addNode("second", second)
                .addEdge(StateGraph.START, "first")
                .addEdge("first", "second")
                .addEdge("second", StateGraph.END);
    }

    /** A node that asks a model with all answers so far, so that a scripted one goes on to its next turn. */
    public static NodeAction asks(ChatModel model) {
        return new LlmNode(model, state -> new Prompt(state.<Message>list(ANSWERS)), ANSWERS);
    }

    /** A graph {@code loop} whose node {@code ask} asks the model again until it has the given number of answers. */
    public static CompiledGraph loop(ChatModel model, int rounds) {
        return new StateGraph("loop")
                .keyStrategy(ANSWERS, KeyStrategy.APPEND)
                .addNode("ask", asks(model))
                .addEdge(StateGraph.START, "ask")
                .addConditionalEdges(
                        "ask",
                        state -> state.list(ANSWERS).size() < rounds ? "on" : "end",
                        Map.of("on", "ask", "end", StateGraph.END))
                .compile();
    }
}
