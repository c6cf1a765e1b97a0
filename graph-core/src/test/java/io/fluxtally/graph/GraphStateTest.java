package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("the state of a run")
class GraphStateTest {

    private static final Map<String, KeyStrategy> STRATEGIES = Map.of("log", KeyStrategy.APPEND);

    private static GraphState with(GraphState state, String key, Object value) {
        return state.with(Collections.singletonMap(key, value), STRATEGIES);
    }

    private static GraphState with(String key, Object value) {
        return with(GraphState.EMPTY, key, value);
    }

    @Test
    @DisplayName("replaces a key that has no strategy of its own")
    void replaces() {
        GraphState first = with("city", "Shanghai");
        GraphState second = with(first, "city", List.of("Hangzhou"));

        assertThat(second.value("city")).contains(List.of("Hangzhou"));
        assertThat(first.value("city")).contains("Shanghai");
    }

    @Test
    @DisplayName("appends a single value, and each element of a list")
    void appends() {
        GraphState state = with(with(with("log", "a"), "log", List.of("b", "c")), "log", List.of());

        assertThat(state.<Object>list("log")).containsExactly("a", "b", "c");
    }

    @Test
    @DisplayName("begins an appended key with a list's elements or with a single value")
    void appendsToNothing() {
        assertThat(with("log", List.of("a", "b")).<Object>list("log")).containsExactly("a", "b");
        assertThat(with("log", "a").<Object>list("log")).containsExactly("a");
    }

    @Test
    @DisplayName("appends an update that is a set or a map as one value")
    void appendsOtherCollections() {
        assertThat(with("log", Map.of("a", 1)).<Object>list("log")).containsExactly(Map.of("a", 1));
    }

    @Test
    @DisplayName("loses a replaced key by a null, and keeps an appended one")
    void nulls() {
        assertThat(with(with("city", "Shanghai"), "city", null).values()).isEmpty();
        assertThat(with(with("log", "a"), "log", null).<Object>list("log")).containsExactly("a");
        assertThat(with("log", null).values()).isEmpty();
    }

    @Test
    @DisplayName("refuses a null inside an appended list")
    void nullElement() {
        List<Object> withNull = Arrays.asList("a", null);

        assertThatThrownBy(() -> with(with("log", "x"), "log", withNull)).isInstanceOf(NullPointerException.class);
    }

    @Test
    @DisplayName("merges with a strategy of the app's own, which may remove the key")
    void ownStrategy() {
        Map<String, KeyStrategy> sum = Map.of("sum", (current, update) -> {
            int total = (current == null ? 0 : (Integer) current) + (Integer) update;
            return total == 0 ? null : total;
        });
        GraphState five = GraphState.EMPTY.with(Map.of("sum", 2), sum).with(Map.of("sum", 3), sum);

        assertThat(five.value("sum", Integer.class)).contains(5);
        assertThat(five.with(Map.of("sum", -5), sum).value("sum")).isEmpty();
    }

    @Test
    @DisplayName("gives a key as a type, and says so when it is of another")
    void typed() {
        GraphState state = with("city", "Shanghai");

        assertThat(state.value("city", String.class)).contains("Shanghai");
        assertThat(state.value("none", String.class)).isEmpty();
        assertThat(state.list("none")).isEmpty();
        assertThatThrownBy(() -> state.value("city", Integer.class)).isInstanceOf(ClassCastException.class);
        assertThatThrownBy(() -> state.list("city")).isInstanceOf(ClassCastException.class);
    }

    @Test
    @DisplayName("cannot be changed through its values")
    void unmodifiable() {
        GraphState state = with("city", "Shanghai");

        assertThatThrownBy(() -> state.values().put("city", "x")).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> state.values().clear()).isInstanceOf(UnsupportedOperationException.class);
    }

    @Test
    @DisplayName("does not change when the map that it was made of does")
    void copiesUpdate() {
        Map<String, Object> update = new HashMap<>(Map.of("city", "Shanghai"));
        GraphState state = GraphState.EMPTY.with(update, STRATEGIES);
        update.put("city", "changed");

        assertThat(state.value("city")).contains("Shanghai");
    }

    @Test
    @DisplayName("T21: prints its keys and never its values, which may be prompts")
    void printsKeysOnly() {
        assertThat(with("question", "my secret")).hasToString("GraphState[question]");
    }

    @Test
    @DisplayName("in an earlier output never changes, though a loop goes on appending")
    void snapshots() {
        List<NodeOutput> outputs = new StateGraph("loop")
                        .keyStrategy("log", KeyStrategy.APPEND)
                        .addNode(
                                "step",
                                (state, run) -> NodeResult.update(
                                        "log", state.list("log").size()))
                        .addEdge(StateGraph.START, "step")
                        .addConditionalEdges(
                                "step",
                                state -> state.list("log").size() < 100 ? "on" : "end",
                                Map.of("on", "step", "end", StateGraph.END))
                        .compile()
                        .stream(Map.of())
                        .collectList()
                        .block();

        assertThat(outputs).hasSize(101);
        for (int i = 0; i < 100; i++) {
            List<Integer> log = outputs.get(i).state().list("log");
            assertThat(log).hasSize(i + 1).endsWith(i);
        }
    }

    @Test
    @DisplayName("of two runs that start from one list is each run's own")
    void sharedInput() {
        CompiledGraph graph = new StateGraph("two")
                .keyStrategy("log", KeyStrategy.APPEND)
                .addNode("step", (state, run) -> NodeResult.update("log", run.runId()))
                .addEdge(StateGraph.START, "step")
                .addEdge("step", StateGraph.END)
                .compile();
        GraphState earlier = graph.invoke(Map.of("log", "first")).block().state();
        Map<String, Object> goOn = Map.of("log", earlier.list("log"));

        List<String> left = graph.invoke(goOn).block().state().list("log");
        List<String> right = graph.invoke(goOn).block().state().list("log");

        assertThat(left).hasSize(3).startsWith("first");
        assertThat(right).hasSize(3).startsWith(left.get(0), left.get(1)).doesNotContain(left.get(2));
        assertThat(earlier.<String>list("log")).hasSize(2);
    }
}
