package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatNoException;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("the definition of branches")
class JoinsTest {

    private static StateGraph graph(String... nodes) {
        StateGraph graph = new StateGraph("trip");
        Stream.of(nodes).forEach(node -> graph.addNode(node, (state, run) -> NodeResult.none()));
        return graph;
    }

    private static void assertRefused(StateGraph graph, String message) {
        assertThatExceptionOfType(GraphDefinitionException.class)
                .isThrownBy(graph::compile)
                .withMessage(message);
    }

    @Test
    @DisplayName("refuses one that leads nowhere, or to a node that nothing leads to")
    void targets() {
        assertRefused(
                edges(graph("a"), "start > a b", "a > end"),
                "graph \"trip\": an edge leads from \"__START__\" to \"b\", which is no node");
        assertRefused(
                edges(graph("a", "b", "c"), "start > a b", "a > end", "b > end", "c > end"),
                "graph \"trip\": node \"c\" cannot be reached");
    }

    @Test
    @DisplayName("refuses a branch that has no way to where the others are")
    void neverMeet() {
        assertRefused(
                edges(graph("a", "b", "c"), "start > a b", "a > end", "b > c", "c > c"),
                "graph \"trip\": node \"b\" never ends: no way leads from it to __END__");
        assertRefused(
                edges(graph("a", "b", "c"), "start > a b", "a > end", "c > c")
                        .addConditionalEdges("b", state -> "x", Map.of("x", "c", "y", StateGraph.END)),
                "graph \"trip\": node \"c\" never ends: no way leads from it to __END__");
    }

    @Test
    @DisplayName("refuses a branch that may end the run while the others go on to where they meet")
    void endsEarly() {
        assertRefused(
                edges(graph("a", "b", "join"), "start > a b", "b > join", "join > end")
                        .addConditionalEdges("a", state -> "x", Map.of("on", "join", "out", StateGraph.END)),
                "graph \"trip\": the branches \"a\" and \"b\" of \"__START__\" both lead to \"join\", but one of them may"
                        + " end the run before it comes there");
    }

    @Test
    @DisplayName("refuses branches with a node in common that not all of their ways pass")
    void share() {
        Map<String, String> either = Map.of("c", "c", "d", "d");
        assertRefused(
                edges(graph("a", "b", "c", "d", "join"), "start > a b", "c > join", "d > join", "join > end")
                        .addConditionalEdges("a", state -> "c", either)
                        .addConditionalEdges("b", state -> "d", either),
                "graph \"trip\": the branches \"a\" and \"b\" of \"__START__\" both lead to \"c\" before they meet at"
                        + " \"join\": a node belongs to one branch");
    }

    @Test
    @DisplayName("refuses a branch that leads back to where it started before it meets the others")
    void leadsBack() {
        assertRefused(
                edges(graph("fork", "a", "b", "join"), "start > fork", "fork > a b", "b > join", "join > end")
                        .addConditionalEdges("a", state -> "x", Map.of("again", "fork", "on", "join")),
                "graph \"trip\": the branch \"a\" of \"fork\" leads back to \"fork\" before it meets the others at"
                        + " \"join\"");
    }

    @Test
    @DisplayName("holds for branches of a route as well, whichever it may name")
    void routes() {
        assertRefused(
                edges(graph("fork", "a", "b", "c"), "start > fork", "a > end", "b > c", "c > c")
                        .addParallelEdges("fork", state -> List.of("a"), Map.of("a", "a", "b", "b")),
                "graph \"trip\": node \"b\" never ends: no way leads from it to __END__");
    }

    @Test
    @DisplayName("takes branches that loop, choose, and branch again, and loops around them")
    void accepts() {
        assertThatNoException()
                .isThrownBy(() -> edges(
                                graph("fork", "a", "a1", "a2", "b", "b1", "b2", "b3", "join"),
                                "start > fork",
                                "fork > a b",
                                "a1 > join",
                                "a2 > a",
                                "b > b1 b2",
                                "b1 > b3",
                                "b2 > b3",
                                "b3 > join")
                        .addConditionalEdges("a", state -> "1", Map.of("1", "a1", "2", "a2"))
                        .addConditionalEdges("join", state -> "x", Map.of("x", "fork", "z", StateGraph.END))
                        .compile());
    }
}
