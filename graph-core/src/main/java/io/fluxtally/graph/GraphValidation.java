package io.fluxtally.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The rules of a graph's definition. */
final class GraphValidation {

    private GraphValidation() {}

    static void check(String graph, Set<String> nodes, Map<String, StateGraph.Edge> edges) {
        edges.forEach((from, edge) -> checkEdge(graph, nodes, from, edge));
        if (!edges.containsKey(StateGraph.START)) {
            throw new GraphDefinitionException(
                    graph, "there is no way in: add an edge from %s".formatted(StateGraph.START));
        }
        for (String node : nodes) {
            if (!edges.containsKey(node)) {
                throw new GraphDefinitionException(
                        graph, "node \"%s\" has no edge: lead it on, or to %s".formatted(node, StateGraph.END));
            }
        }
        Set<String> reached = reachable(edges);
        for (String node : nodes) {
            if (!reached.contains(node)) {
                throw new GraphDefinitionException(graph, "node \"%s\" cannot be reached".formatted(node));
            }
        }
        if (!reached.contains(StateGraph.END)) {
            throw new GraphDefinitionException(
                    graph, "there is no way out: no edge leads to %s".formatted(StateGraph.END));
        }
        Set<String> ending = leadingToEnd(edges);
        for (String node : nodes) {
            if (!ending.contains(node)) {
                throw new GraphDefinitionException(
                        graph, "node \"%s\" never ends: no way leads from it to %s".formatted(node, StateGraph.END));
            }
        }
    }

    static void checkSubGraphs(
            String graph, Map<String, StateGraph.Node> nodes, Map<String, KeyStrategy> keyStrategies) {
        nodes.forEach((node, definition) ->
                definition.actions().forEach(action -> checkSubGraph(graph, node, action, keyStrategies)));
    }

    static void checkInterrupts(String graph, Set<String> nodes, CompileConfig config) {
        checkInterrupts(graph, nodes, "interruptBefore", config.interruptBefore());
        checkInterrupts(graph, nodes, "interruptAfter", config.interruptAfter());
    }

    private static void checkInterrupts(String graph, Set<String> nodes, String setting, Set<String> named) {
        named.stream()
                .filter(node -> !nodes.contains(node))
                .sorted()
                .findFirst()
                .ifPresent(node -> {
                    throw new GraphDefinitionException(
                            graph, "%s names \"%s\", which is no node".formatted(setting, node));
                });
    }

    private static void checkSubGraph(
            String graph, String node, NodeAction action, Map<String, KeyStrategy> keyStrategies) {
        if (action instanceof SharedSubGraph shared) {
            shared.graph().keyStrategies().forEach((key, strategy) -> {
                if (keyStrategies.getOrDefault(key, KeyStrategy.REPLACE) != strategy) {
                    throw new GraphDefinitionException(
                            graph,
                            "node \"%s\" shares the state with graph \"%s\", which merges the key \"%s\" in another way: give both the same KeyStrategy"
                                    .formatted(node, shared.graph().name(), key));
                }
            });
        }
    }

    static void checkKey(String graph, String key) {
        if (key.equals(GraphRunnerContext.TOKEN_USAGE)) {
            throw new GraphDefinitionException(
                    graph, "the key \"%s\" is reserved for the usage of nodes and never in the state".formatted(key));
        }
    }

    private static void checkEdge(String graph, Set<String> nodes, String from, StateGraph.Edge edge) {
        if (!from.equals(StateGraph.START) && !nodes.contains(from)) {
            throw new GraphDefinitionException(graph, "an edge starts at \"%s\", which is no node".formatted(from));
        }
        if (edge.targets().isEmpty()) {
            throw new GraphDefinitionException(graph, "the edges of \"%s\" have no target".formatted(from));
        }
        for (String target : edge.targets().values()) {
            if (!target.equals(StateGraph.END) && !nodes.contains(target)) {
                throw new GraphDefinitionException(
                        graph, "an edge leads from \"%s\" to \"%s\", which is no node".formatted(from, target));
            }
        }
    }

    private static Set<String> reachable(Map<String, StateGraph.Edge> edges) {
        Set<String> reached = new HashSet<>();
        Deque<String> open = new ArrayDeque<>(Set.of(StateGraph.START));
        while (!open.isEmpty()) {
            StateGraph.Edge edge = edges.get(open.pop());
            if (edge != null) {
                edge.targets().values().stream().filter(reached::add).forEach(open::push);
            }
        }
        return reached;
    }

    private static Set<String> leadingToEnd(Map<String, StateGraph.Edge> edges) {
        Map<String, List<String>> sources = new HashMap<>();
        edges.forEach((from, edge) -> edge.targets()
                .values()
                .forEach(target -> sources.computeIfAbsent(target, key -> new ArrayList<>())
                        .add(from)));
        Set<String> ending = new HashSet<>();
        Deque<String> open = new ArrayDeque<>(Set.of(StateGraph.END));
        while (!open.isEmpty()) {
            sources.getOrDefault(open.pop(), List.of()).stream()
                    .filter(ending::add)
                    .forEach(open::push);
        }
        return ending;
    }
}
