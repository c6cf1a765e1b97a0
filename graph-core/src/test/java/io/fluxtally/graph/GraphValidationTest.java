package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.prompt.Prompt;

@DisplayName("the definition of a graph")
class GraphValidationTest {

    private static final NodeAction NOTHING = (state, run) -> NodeResult.none();

    private final StateGraph graph = new StateGraph("trip");

    private static void assertRefused(ThrowingCallable definition, String message) {
        assertThatExceptionOfType(GraphDefinitionException.class)
                .isThrownBy(definition)
                .withMessage(message);
    }

    @Test
    @DisplayName("refuses a node id that is reserved")
    void reservedIds() {
        assertRefused(
                () -> graph.addNode(StateGraph.START, NOTHING), "graph \"trip\": node id \"__START__\" is reserved");
        assertRefused(() -> graph.addNode(StateGraph.END, NOTHING), "graph \"trip\": node id \"__END__\" is reserved");
    }

    @Test
    @DisplayName("refuses a node id that is there twice")
    void duplicateId() {
        graph.addNode("plan", NOTHING);

        assertRefused(() -> graph.addNode("plan", NOTHING), "graph \"trip\": node id \"plan\" is there twice");
    }

    @Test
    @DisplayName("refuses an edge that is there already")
    void sameEdge() {
        graph.addEdge("plan", "book");

        assertRefused(
                () -> graph.addEdge("plan", "book"),
                "graph \"trip\": the edge from \"plan\" to \"book\" is there twice");
    }

    @Test
    @DisplayName("refuses conditional edges beside any other")
    void conditionalBesideOthers() {
        graph.addEdge("plan", StateGraph.END).addConditionalEdges("book", state -> "x", Map.of("x", "plan"));
        String beside = "graph \"trip\": node \"plan\" has an edge already: conditional edges stand alone";
        String there = "graph \"trip\": node \"book\" has conditional edges already, which stand alone";

        assertRefused(() -> graph.addConditionalEdges("plan", state -> "x", Map.of("x", "book")), beside);
        assertRefused(() -> graph.addParallelEdges("plan", state -> List.of("x"), Map.of("x", "book")), beside);
        assertRefused(() -> graph.addEdge("book", "plan"), there);
        assertRefused(() -> graph.addConditionalEdges("book", state -> "x", Map.of("x", "plan")), there);
        assertRefused(() -> graph.addParallelEdges("book", state -> List.of("x"), Map.of("x", "plan")), there);
    }

    @Test
    @DisplayName("refuses an edge that starts nowhere")
    void edgeFromNowhere() {
        graph.addNode("plan", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addEdge("plan", StateGraph.END)
                .addEdge("book", "plan");

        assertRefused(graph::compile, "graph \"trip\": an edge starts at \"book\", which is no node");
    }

    @Test
    @DisplayName("refuses an edge that starts at the end")
    void edgeFromEnd() {
        graph.addNode("plan", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addEdge("plan", StateGraph.END)
                .addEdge(StateGraph.END, "plan");

        assertRefused(graph::compile, "graph \"trip\": an edge starts at \"__END__\", which is no node");
    }

    @Test
    @DisplayName("refuses an edge that leads nowhere, be it plain, conditional or the first")
    void edgeToNowhere() {
        assertRefused(
                () -> new StateGraph("trip")
                        .addNode("plan", NOTHING)
                        .addEdge(StateGraph.START, "plan")
                        .addEdge("plan", "book")
                        .compile(),
                "graph \"trip\": an edge leads from \"plan\" to \"book\", which is no node");
        assertRefused(
                () -> new StateGraph("trip")
                        .addNode("plan", NOTHING)
                        .addEdge(StateGraph.START, "plan")
                        .addConditionalEdges("plan", state -> "yes", Map.of("yes", "book", "no", StateGraph.END))
                        .compile(),
                "graph \"trip\": an edge leads from \"plan\" to \"book\", which is no node");
        assertRefused(
                () -> new StateGraph("trip").addEdge(StateGraph.START, "plan").compile(),
                "graph \"trip\": an edge leads from \"__START__\" to \"plan\", which is no node");
    }

    @Test
    @DisplayName("refuses an edge that leads back to the start")
    void edgeToStart() {
        graph.addNode("plan", NOTHING).addEdge(StateGraph.START, "plan").addEdge("plan", StateGraph.START);

        assertRefused(graph::compile, "graph \"trip\": an edge leads from \"plan\" to \"__START__\", which is no node");
    }

    @Test
    @DisplayName("refuses conditional edges without any target")
    void noTargets() {
        graph.addNode("plan", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addConditionalEdges("plan", state -> "x", Map.of());

        assertRefused(graph::compile, "graph \"trip\": the edges of \"plan\" have no target");
    }

    @Test
    @DisplayName("refuses a graph without a way in")
    void noEntry() {
        graph.addNode("plan", NOTHING).addEdge("plan", StateGraph.END);

        assertRefused(graph::compile, "graph \"trip\": there is no way in: add an edge from __START__");
    }

    @Test
    @DisplayName("refuses a node that leads nowhere")
    void noEdge() {
        graph.addNode("plan", NOTHING).addEdge(StateGraph.START, "plan");

        assertRefused(graph::compile, "graph \"trip\": node \"plan\" has no edge: lead it on, or to __END__");
    }

    @Test
    @DisplayName("refuses a node that cannot be reached")
    void unreachable() {
        graph.addNode("plan", NOTHING)
                .addNode("book", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addEdge("plan", StateGraph.END)
                .addEdge("book", StateGraph.END);

        assertRefused(graph::compile, "graph \"trip\": node \"book\" cannot be reached");
    }

    @Test
    @DisplayName("refuses a graph without a way out")
    void noExit() {
        graph.addNode("plan", NOTHING)
                .addNode("book", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addEdge("plan", "book")
                .addEdge("book", "plan");

        assertRefused(graph::compile, "graph \"trip\": there is no way out: no edge leads to __END__");
    }

    @Test
    @DisplayName("refuses nodes that lead in a circle for ever, though others lead to the end")
    void endless() {
        graph.addNode("plan", NOTHING)
                .addNode("book", NOTHING)
                .addNode("wait", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addConditionalEdges("plan", state -> "out", Map.of("out", StateGraph.END, "on", "book"))
                .addEdge("book", "wait")
                .addEdge("wait", "book");

        assertRefused(graph::compile, "graph \"trip\": node \"book\" never ends: no way leads from it to __END__");
    }

    @Test
    @DisplayName("refuses a node id that is blank or null")
    void blankIds() {
        assertRefused(() -> graph.addNode(" ", NOTHING), "graph \"trip\": a node id must not be blank, but is \" \"");
        assertThatNullPointerException()
                .isThrownBy(() -> graph.addNode(null, NOTHING))
                .withMessage("id");
    }

    @Test
    @DisplayName("refuses the key of the usage delta as that of a model's answer")
    void reservedAnswer() {
        assertThatIllegalArgumentException()
                .isThrownBy(() ->
                        new LlmNode(ScriptedModel.of(Turn.says(1, 1, "a")), state -> new Prompt("b"), "_TOKEN_USAGE_"))
                .withMessage("answerKey must not be \"_TOKEN_USAGE_\", which is reserved for the usage of nodes");
    }

    @Test
    @DisplayName("refuses the key of the usage delta as a key of the state")
    void reservedKey() {
        assertRefused(
                () -> graph.keyStrategy("_TOKEN_USAGE_", KeyStrategy.REPLACE),
                "graph \"trip\": the key \"_TOKEN_USAGE_\" is reserved for the usage of nodes and never in the state");
    }

    @Test
    @DisplayName("refuses the key of the usage delta in the input of a run, streamed or not")
    void reservedInput() {
        CompiledGraph compiled = graph.addNode("plan", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addEdge("plan", StateGraph.END)
                .compile();
        String message =
                "graph \"trip\": the key \"_TOKEN_USAGE_\" is reserved for the usage of nodes and never in the state";

        assertRefused(() -> compiled.stream(Map.of("_TOKEN_USAGE_", 1)), message);
        assertRefused(() -> compiled.invoke(Map.of("_TOKEN_USAGE_", 1)), message);
    }

    @Test
    @DisplayName("refuses a limit on node executions or branches below 1")
    void limit() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CompileConfig.DEFAULT.withMaxIterations(0))
                .withMessage("maxIterations must be 1 or more, but is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CompileConfig.DEFAULT.withMaxRounds(0))
                .withMessage("maxRounds must be 1 or more, but is 0");
        CompileConfig iterations = CompileConfig.DEFAULT.withMaxRounds(4).withMaxIterations(7);
        assertThat(iterations.maxIterations()).isEqualTo(7);
        assertThat(iterations.maxRounds()).isNull();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CompileConfig.DEFAULT.withMaxParallel(0))
                .withMessage("maxParallel must be 1 or more, but is 0");
    }

    @Test
    @DisplayName("takes a node that leads to itself, and one that is reached by a condition alone")
    void accepts() {
        CompiledGraph compiled = graph.addNode("plan", NOTHING)
                .addNode("book", NOTHING)
                .addEdge(StateGraph.START, "plan")
                .addConditionalEdges(
                        "plan", state -> "out", Map.of("again", "plan", "on", "book", "out", StateGraph.END))
                .addEdge("book", "plan")
                .compile();

        assertThat(compiled.name()).isEqualTo("trip");
        assertThat(compiled.invoke(Map.of()).block().isEnd()).isTrue();
    }

    @Test
    @DisplayName("takes a graph without nodes, which ends where it starts")
    void empty() {
        CompiledGraph compiled = graph.addEdge(StateGraph.START, StateGraph.END).compile();

        assertThat(compiled.stream(Map.of("city", "Shanghai")).collectList().block())
                .singleElement()
                .satisfies(output -> {
                    assertThat(output.isEnd()).isTrue();
                    assertThat(output.state().value("city")).contains("Shanghai");
                });
    }

    @Test
    @DisplayName("may go on changing after it was compiled, without the compiled graph")
    void copies() {
        graph.addNode("plan", NOTHING).addEdge(StateGraph.START, "plan").addEdge("plan", StateGraph.END);
        CompiledGraph compiled = graph.compile();
        graph.addNode("book", NOTHING).keyStrategy("log", KeyStrategy.APPEND);

        assertThat(compiled.invoke(Map.of("log", "a")).block().state().value("log"))
                .contains("a");
    }
}
