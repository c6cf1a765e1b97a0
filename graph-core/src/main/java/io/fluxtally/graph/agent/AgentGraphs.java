package io.fluxtally.graph.agent;

import io.fluxtally.graph.GraphState;
import io.fluxtally.graph.StateGraph;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Graphs of several agents in the usual shapes. A run's input is {@link #QUESTION}; each agent is a node that has its
 * name, has a conversation of its own, and writes its answer's text under its name.
 */
public final class AgentGraphs {

    /** The key of what is asked. */
    public static final String QUESTION = "question";

    private AgentGraphs() {}

    /** Agents one after the other: the first is asked the question, each further one is asked what the last answered. */
    public static StateGraph sequential(String name, ReactAgent... agents) {
        StateGraph graph = new StateGraph(name);
        String from = StateGraph.START;
        String asked = QUESTION;
        for (ReactAgent agent : agents) {
            addNode(graph, agent, asked).addEdge(from, agent.name());
            from = agent.name();
            asked = agent.name();
        }
        return graph.addEdge(from, StateGraph.END);
    }

    /** Agents at once, each asked the question. */
    public static StateGraph parallel(String name, ReactAgent... agents) {
        StateGraph graph = new StateGraph(name);
        for (ReactAgent agent : agents) {
            addNode(graph, agent, QUESTION)
                    .addEdge(StateGraph.START, agent.name())
                    .addEdge(agent.name(), StateGraph.END);
        }
        return graph;
    }

    /**
     * An agent that is asked the question, and then what it answered, again and again.
     *
     * @param done whether it is good enough, given the state after an answer
     */
    public static StateGraph loop(String name, ReactAgent agent, Predicate<GraphState> done) {
        StateGraph graph = new StateGraph(name);
        return graph.addNode(
                        agent.name(),
                        agent.asNode(
                                state -> text(state, state.value(agent.name()).isPresent() ? agent.name() : QUESTION),
                                agent.name()))
                .addEdge(StateGraph.START, agent.name())
                .addConditionalEdges(
                        agent.name(),
                        state -> done.test(state) ? StateGraph.END : agent.name(),
                        Map.of(StateGraph.END, StateGraph.END, agent.name(), agent.name()));
    }

    /**
     * An agent that is asked the question and answers with the name of another, which is then asked the question. A router
     * that answers anything else ends the run with an error.
     */
    public static StateGraph routing(String name, ReactAgent router, ReactAgent... agents) {
        StateGraph graph = addNode(new StateGraph(name), router, QUESTION).addEdge(StateGraph.START, router.name());
        Map<String, String> targets = new LinkedHashMap<>();
        for (ReactAgent agent : agents) {
            addNode(graph, agent, QUESTION).addEdge(agent.name(), StateGraph.END);
            targets.put(agent.name(), agent.name());
        }
        List<String> names = List.copyOf(targets.keySet());
        return graph.addConditionalEdges(router.name(), state -> named(text(state, router.name()), names), targets);
    }

    private static StateGraph addNode(StateGraph graph, ReactAgent agent, String asked) {
        return graph.addNode(agent.name(), agent.asNode(state -> text(state, asked), agent.name()));
    }

    private static String text(GraphState state, String key) {
        return state.value(key, String.class)
                .orElseThrow(() -> new IllegalStateException("the state has no \"%s\"".formatted(key)));
    }

    /** The name that an answer is, or an empty one: not the answer, which would get into the error. */
    private static String named(String answer, List<String> names) {
        return names.contains(answer.strip()) ? answer.strip() : "";
    }
}
