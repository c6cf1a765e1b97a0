package io.fluxtally.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * Where the branches of each fan-out meet: at the nearest node that every way from each of them to the end passes, or at
 * the end itself. Until then the branches must have no node in common.
 *
 * <p>In words of compilers that node is the nearest common post-dominator. It is found as in Cooper, Harvey and Kennedy,
 * "A Simple, Fast Dominance Algorithm", over the edges turned round.
 */
final class Joins {

    private final String graph;
    private final Map<String, StateGraph.Edge> edges;

    /** The nodes, each behind those it is reached from when going back from the end. */
    private final List<String> order = new ArrayList<>();

    private final Map<String, Integer> numbers = new HashMap<>();
    private final int[] nearest;

    private Joins(String graph, Map<String, StateGraph.Edge> edges) {
        this.graph = graph;
        this.edges = edges;
        number();
        nearest = new int[order.size()];
        Arrays.fill(nearest, -1);
        findNearest();
    }

    /**
     * The join of each node that branches start at, in a graph whose every node has a way to the end.
     *
     * @throws GraphDefinitionException if branches meet before they should
     */
    static Map<String, String> of(String graph, Map<String, StateGraph.Edge> edges) {
        Map<String, String> joins = new HashMap<>();
        if (edges.values().stream().anyMatch(StateGraph.Edge::isParallel)) {
            Joins found = new Joins(graph, edges);
            edges.forEach((from, edge) -> {
                if (edge.isParallel()) {
                    joins.put(
                            from,
                            found.join(from, new LinkedHashSet<>(edge.targets().values())));
                }
            });
        }
        return joins;
    }

    private Collection<String> targets(String node) {
        StateGraph.Edge edge = edges.get(node);
        return edge == null ? List.of() : edge.targets().values();
    }

    /** Numbers the nodes in postorder, going back from the end, which is the last. Iterated: a chain may be long. */
    private void number() {
        Map<String, List<String>> sources = new HashMap<>();
        edges.forEach((from, edge) -> edge.targets()
                .values()
                .forEach(to ->
                        sources.computeIfAbsent(to, none -> new ArrayList<>()).add(from)));
        Deque<String> open = new ArrayDeque<>(List.of(StateGraph.END));
        while (!open.isEmpty()) {
            String node = open.peek();
            Integer number = numbers.putIfAbsent(node, -1);
            if (number == null) {
                sources.getOrDefault(node, List.of()).stream()
                        .filter(source -> !numbers.containsKey(source))
                        .forEach(open::push);
            } else {
                open.pop();
                if (number == -1) {
                    numbers.put(node, order.size());
                    order.add(node);
                }
            }
        }
    }

    private void findNearest() {
        int end = order.size() - 1;
        nearest[end] = end;
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int node = end - 1; node >= 0; node--) {
                int meeting = meeting(targets(order.get(node)));
                changed |= nearest[node] != meeting;
                nearest[node] = meeting;
            }
        }
    }

    /** Where ways from all of the given nodes meet, as far as that is known. */
    private int meeting(Collection<String> nodes) {
        int meeting = -1;
        for (String node : nodes) {
            int other = numbers.getOrDefault(node, -1);
            if (other != -1 && nearest[other] != -1) {
                meeting = meeting == -1 ? other : meeting(meeting, other);
            }
        }
        return meeting;
    }

    private int meeting(int one, int other) {
        int a = one;
        int b = other;
        while (a != b) {
            if (a < b) {
                a = nearest[a];
            } else {
                b = nearest[b];
            }
        }
        return a;
    }

    private String join(String from, Collection<String> branches) {
        String join = order.get(meeting(branches));
        Map<String, String> owners = new HashMap<>();
        for (String branch : branches) {
            Deque<String> open = new ArrayDeque<>(List.of(branch));
            while (!open.isEmpty()) {
                String node = open.pop();
                if (!node.equals(join)) {
                    String owner = owners.putIfAbsent(node, branch);
                    if (owner == null) {
                        check(from, branch, node, join);
                        open.addAll(targets(node));
                    } else if (!owner.equals(branch)) {
                        throw shared(from, owner, branch, node, join);
                    }
                }
            }
        }
        return join;
    }

    private void check(String from, String branch, String node, String join) {
        if (node.equals(from)) {
            throw new GraphDefinitionException(
                    graph,
                    "the branch \"%s\" of \"%s\" leads back to \"%s\" before it meets the others at \"%s\""
                            .formatted(branch, from, from, join));
        }
    }

    private GraphDefinitionException shared(String from, String one, String other, String node, String join) {
        String problem = join.equals(StateGraph.END)
                ? "both lead to \"%s\", but one of them may end the run before it comes there"
                : "both lead to \"%s\" before they meet at \"" + join + "\": a node belongs to one branch";
        return new GraphDefinitionException(
                graph,
                "the branches \"%s\" and \"%s\" of \"%s\" ".formatted(one, other, from) + problem.formatted(node));
    }
}
