package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.test.StepVerifier;

@DisplayName("the way of a run")
class RoutesTest {

    private static final String LOG = "log";

    private static NodeAction logs(String word) {
        return (state, run) -> NodeResult.update(LOG, word);
    }

    private static StateGraph graph() {
        return new StateGraph("trip").keyStrategy(LOG, KeyStrategy.APPEND);
    }

    private static StateGraph choosing(Function<GraphState, String> condition) {
        return graph().addNode("plan", logs("plan"))
                .addNode("book", logs("book"))
                .addEdge(StateGraph.START, "plan")
                .addConditionalEdges("plan", condition, Map.of("yes", "book", "no", StateGraph.END))
                .addEdge("book", StateGraph.END);
    }

    private static StateGraph loop(int rounds) {
        return graph().addNode("step", logs("step"))
                .addEdge(StateGraph.START, "step")
                .addConditionalEdges(
                        "step",
                        state -> state.list(LOG).size() < rounds ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END));
    }

    private static List<String> way(CompiledGraph graph) {
        return graph.stream(Map.of()).map(NodeOutput::node).collectList().block();
    }

    @Test
    @DisplayName("follows plain edges, node by node, to the end")
    void linear() {
        CompiledGraph graph = graph().addNode("a", logs("a"))
                .addNode("b", logs("b"))
                .addNode("c", logs("c"))
                .addEdge(StateGraph.START, "a")
                .addEdge("a", "b")
                .addEdge("b", "c")
                .addEdge("c", StateGraph.END)
                .compile();

        assertThat(way(graph)).containsExactly("a", "b", "c", StateGraph.END);
        assertThat(graph.invoke(Map.of()).block().state().<String>list(LOG)).containsExactly("a", "b", "c");
    }

    @Test
    @DisplayName("each output has the state after its node, the last one that of the end")
    void states() {
        StepVerifier.create(choosing(state -> "yes").compile().stream(Map.of()))
                .assertNext(
                        output -> assertThat(output.state().<String>list(LOG)).containsExactly("plan"))
                .assertNext(
                        output -> assertThat(output.state().<String>list(LOG)).containsExactly("plan", "book"))
                .assertNext(output -> {
                    assertThat(output.isEnd()).isTrue();
                    assertThat(output.state().<String>list(LOG)).containsExactly("plan", "book");
                    assertThat(output.tokenUsage()).isNull();
                })
                .verifyComplete();
    }

    @Test
    @DisplayName("takes the conditional edge that the state after the node calls for")
    void conditional() {
        CompiledGraph graph = choosing(state -> state.list(LOG).contains("sunny") ? "yes" : "no")
                .compile();

        assertThat(graph.stream(Map.of(LOG, "sunny"))
                        .map(NodeOutput::node)
                        .collectList()
                        .block())
                .containsExactly("plan", "book", StateGraph.END);
        assertThat(way(graph)).containsExactly("plan", StateGraph.END);
    }

    @Test
    @DisplayName("may begin with a condition on the input")
    void conditionalStart() {
        CompiledGraph graph = graph().addNode("a", logs("a"))
                .addNode("b", logs("b"))
                .addConditionalEdges(
                        StateGraph.START,
                        state -> state.value("first", String.class).orElseThrow(),
                        Map.of("a", "a", "b", "b"))
                .addEdge("a", StateGraph.END)
                .addEdge("b", StateGraph.END)
                .compile();

        assertThat(graph.stream(Map.of("first", "b"))
                        .map(NodeOutput::node)
                        .collectList()
                        .block())
                .containsExactly("b", StateGraph.END);
    }

    @Test
    @DisplayName("goes round a loop until its condition lets it out")
    void loops() {
        assertThat(way(loop(3).compile())).containsExactly("step", "step", "step", StateGraph.END);
    }

    @Test
    @DisplayName("ends with a clear error where a condition names no target")
    void unknownTarget() {
        StepVerifier.create(choosing(state -> "maybe").compile().stream(Map.of()))
                .expectNextCount(1)
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isExactlyInstanceOf(GraphRunException.class)
                        .hasMessage("graph \"trip\": the condition of node \"plan\" names one of [no, yes],"
                                + " but named \"maybe\"")
                        .hasNoCause());
    }

    @Test
    @DisplayName("ends with a clear error where a condition gives null")
    void nullTarget() {
        assertThatExceptionOfType(GraphRunException.class)
                .isThrownBy(
                        () -> choosing(state -> null).compile().invoke(Map.of()).block())
                .withMessage(
                        "graph \"trip\": the condition of node \"plan\" names one of [no, yes], but named \"null\"")
                .satisfies(error -> {
                    assertThat(error.graph()).isEqualTo("trip");
                    assertThat(error.node()).isEqualTo("plan");
                });
    }

    @Test
    @DisplayName("ends with the condition's own error as the cause where a condition throws")
    void throwingCondition() {
        IllegalStateException broken = new IllegalStateException("no map");

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> choosing(state -> {
                            throw broken;
                        })
                        .compile()
                        .invoke(Map.of())
                        .block())
                .withMessage("graph \"trip\": node \"plan\" failed: java.lang.IllegalStateException: no map")
                .withCause(broken)
                .satisfies(error -> assertThat(error.node()).isEqualTo("plan"));
    }

    @Test
    @DisplayName("T19: a condition that asks a decorated model is counted in the run")
    void conditionThatAsks() {
        UsageChatModel router = UsageChatModel.of(ScriptedModel.of(Turn.says(900, 60, "yes")));
        CompiledGraph graph = choosing(state ->
                        router.call(new Prompt("Book?")).getResult().getOutput().getText())
                .compile();

        NodeOutput end = graph.invoke(Map.of()).block();

        assertThat(end.state().<String>list(LOG)).containsExactly("plan", "book");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(900, 60));
    }

    @Test
    @DisplayName("may have as many node executions as the limit says")
    void atTheLimit() {
        CompiledGraph graph = loop(5).compile(CompileConfig.DEFAULT.withMaxIterations(5));

        assertThat(way(graph)).hasSize(6).endsWith(StateGraph.END);
    }

    @Test
    @DisplayName("ends with a typed error at one execution more, which names graph, node and limit")
    void beyondTheLimit() {
        CompiledGraph graph = loop(6).compile(CompileConfig.DEFAULT.withMaxIterations(5));

        StepVerifier.create(graph.stream(Map.of()))
                .expectNextCount(5)
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(MaxIterationsException.class, exceeded -> {
                            assertThat(exceeded)
                                    .hasMessage(
                                            "graph \"trip\": maxIterations is 5, and node \"step\" would be one more");
                            assertThat(exceeded.graph()).isEqualTo("trip");
                            assertThat(exceeded.node()).isEqualTo("step");
                            assertThat(exceeded.limit()).isEqualTo(5);
                        }));
    }

    @Test
    @DisplayName("allows 1,000 node executions unless set otherwise")
    void defaultLimit() {
        assertThat(way(loop(1_000).compile())).hasSize(1_001);
        assertThatExceptionOfType(MaxIterationsException.class)
                .isThrownBy(() -> way(loop(1_001).compile()))
                .satisfies(error -> assertThat(error.limit()).isEqualTo(1_000));
    }

    @Test
    @DisplayName("keeps what was used until the limit in the error")
    void usageAtTheLimit() {
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 20, "Not yet."));
        CompiledGraph graph = new StateGraph("endless")
                .addNode("ask", new LlmNode(model, state -> new Prompt("Ready?"), "answer"))
                .addEdge(StateGraph.START, "ask")
                .addConditionalEdges("ask", state -> "on", Map.of("on", "ask", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(3));

        assertThatExceptionOfType(MaxIterationsException.class)
                .isThrownBy(() -> graph.stream(Map.of()).blockLast())
                .satisfies(error -> {
                    assertThat(error.usage().total()).isEqualTo(TokenUsage.of(300, 60));
                    assertThat(error.usage().sum().requests()).isEqualTo(3);
                    assertThat(error.usage().isComplete()).isTrue();
                });
    }
}
