package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.Message;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;

@DisplayName("a graph that is a node of another")
@Timeout(60)
class SubGraphTest {

    private static final String LOG = "log";
    private static final TokenUsage OUTER = TokenUsage.of(100, 8);
    private static final TokenUsage INNER = TokenUsage.of(19000, 7500);

    private static StateGraph line(String name, String... nodes) {
        StateGraph graph = new StateGraph(name).keyStrategy(LOG, KeyStrategy.APPEND);
        String from = StateGraph.START;
        for (String node : nodes) {
            graph.addNode(
                            node,
                            (state, run) -> NodeResult.update(
                                    LOG,
                                    name + "." + node + " " + state.list(LOG).size()))
                    .addEdge(from, node);
            from = node;
        }
        return graph.addEdge(from, StateGraph.END);
    }

    private static StateGraph around(NodeAction middle) {
        return edges(
                new StateGraph("outer")
                        .keyStrategy(LOG, KeyStrategy.APPEND)
                        .addNode("before", (state, run) -> NodeResult.update(LOG, "before"))
                        .addNode("sub", middle)
                        .addNode("after", (state, run) -> NodeResult.update(LOG, "after")),
                "start > before",
                "before > sub",
                "sub > after",
                "after > end");
    }

    private static NodeOutput end(CompiledGraph graph, boolean streaming) {
        return streaming
                ? graph.stream(Map.of()).blockLast()
                : graph.invoke(Map.of()).block();
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("shares the state: what its nodes write is written once, behind what was there")
    void shared(boolean streaming) {
        NodeOutput end = end(around(line("inner", "a", "b").compile().asNode()).compile(), streaming);

        assertThat(end.state().list(LOG)).containsExactly("before", "inner.a 1", "inner.b 2", "after");
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("has a state of its own, which two functions fill and read")
    void mapped(boolean streaming) {
        NodeAction sub = line("inner", "a", "b")
                .compile()
                .asNode(
                        state -> Map.of(LOG, "given " + state.list(LOG).size()),
                        state -> Map.of("told", String.join(", ", state.<String>list(LOG))));

        NodeOutput end = end(around(sub).compile(), streaming);

        assertThat(end.state().values())
                .containsOnly(
                        Map.entry(LOG, List.of("before", "after")), Map.entry("told", "given 1, inner.a 1, inner.b 2"));
    }

    @Test
    @DisplayName(
            "streams its outputs through, each with the nodes it is in, and has one of its own in place of its end")
    void path() {
        CompiledGraph innermost = line("innermost", "x").compile();
        CompiledGraph inner = edges(
                        new StateGraph("inner")
                                .keyStrategy(LOG, KeyStrategy.APPEND)
                                .addNode("deep", innermost.asNode(state -> Map.of(), state -> Map.of()))
                                .addNode(
                                        "chunks",
                                        (state, run) ->
                                                NodeResult.chunks(Flux.just("p", "q"), () -> ChunkJoiner.text("text"))),
                        "start > deep",
                        "deep > chunks",
                        "chunks > end")
                .compile();

        List<NodeOutput> outputs =
                around(inner.asNode()).compile().stream(Map.of()).collectList().block();

        assertThat(outputs)
                .extracting(NodeOutput::path, NodeOutput::node)
                .containsExactly(
                        tuple(List.of(), "before"),
                        tuple(List.of("sub", "deep"), "x"),
                        tuple(List.of("sub"), "deep"),
                        tuple(List.of("sub"), "chunks"),
                        tuple(List.of("sub"), "chunks"),
                        tuple(List.of("sub"), "chunks"),
                        tuple(List.of(), "sub"),
                        tuple(List.of(), "after"),
                        tuple(List.of(), StateGraph.END));
        assertThat(outputs).filteredOn(NodeOutput::isEnd).hasSize(1);
        assertThat(outputs.get(8).state().value("text")).contains("pq");
    }

    private static CompiledGraph usageGraph() {
        CompiledGraph inner = Graphs.loop(ScriptedModel.threeRounds("any"), 3);
        return Graphs.pair(
                        asks(ScriptedModel.of(Turn.says(100, 8, "Go."))),
                        inner.asNode(state -> Map.of(), state -> Map.of()))
                .compile();
    }

    @Test
    @DisplayName("T9, T11: says at its end what it used itself, and on all of its outputs what the whole run has")
    void usage() {
        List<NodeOutput> outputs = usageGraph().stream(Map.of())
                .filter(output -> output.tokenUsage() != null)
                .collectList()
                .block();

        assertThat(outputs)
                .extracting(
                        NodeOutput::path,
                        NodeOutput::node,
                        NodeOutput::tokenUsage,
                        output -> output.runUsage().total())
                .containsExactly(
                        tuple(List.of(), "first", OUTER, OUTER),
                        tuple(List.of("second"), "ask", TokenUsage.of(5000, 2000), TokenUsage.of(5100, 2008)),
                        tuple(List.of("second"), "ask", TokenUsage.of(8000, 3000), TokenUsage.of(13100, 5008)),
                        tuple(List.of("second"), "ask", TokenUsage.of(6000, 2500), OUTER.plus(INNER)),
                        tuple(List.of(), "second", INNER, OUTER.plus(INNER)));
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("T9: is in the run once, and in each view of it")
    void views(boolean streaming) {
        RunUsage usage = end(usageGraph(), streaming).runUsage();

        assertThat(usage.total()).isEqualTo(OUTER.plus(INNER));
        assertThat(usage.requests())
                .hasSize(4)
                .extracting(request -> request.runId())
                .containsOnly(usage.requests().get(0).runId());
        assertThat(usage.byNode().get("first").total()).isEqualTo(OUTER);
        assertThat(usage.byNode().get("ask").total()).isEqualTo(INNER);
        assertThat(usage.byRound()).containsOnlyKeys(1, 2, 3);
        assertThat(usage.isComplete()).isTrue();
    }

    @Test
    @DisplayName("sees the whole run's total in its nodes, and what it used itself apart")
    void partUsage() {
        List<TokenUsage> seen = new CopyOnWriteArrayList<>();
        CompiledGraph inner = Graphs.pair(asks(ScriptedModel.of(Turn.says(7, 1, "a"))), (state, run) -> {
                    seen.add(run.getTokenUsage());
                    seen.add(run.partUsage().total());
                    return NodeResult.none();
                })
                .compile();

        Graphs.pair(
                        asks(ScriptedModel.of(Turn.says(100, 8, "Go."))),
                        inner.asNode(state -> Map.of(), state -> Map.of()))
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(seen).containsExactly(TokenUsage.of(107, 9), TokenUsage.of(7, 1));
    }

    @Test
    @DisplayName("may be a branch, on the state or apart from it")
    void asBranch() {
        CompiledGraph left = line("left", "a", "b").compile();
        CompiledGraph right = line("right", "c").compile();
        CompiledGraph graph = edges(
                        new StateGraph("outer")
                                .keyStrategy(LOG, KeyStrategy.APPEND)
                                .addNode("l", left.asNode())
                                .addNode("r", right.asNode()),
                        "start > l r",
                        "l > end",
                        "r > end")
                .compile();

        assertThat(graph.invoke(Map.of(LOG, "in")).block().state().list(LOG))
                .containsExactly("in", "left.a 1", "left.b 2", "right.c 1");
    }

    @Test
    @DisplayName("that writes a key which another branch replaces is a conflict as well")
    void conflict() {
        CompiledGraph sub =
                Graphs.single((state, run) -> NodeResult.update("city", 1)).compile();
        CompiledGraph graph = edges(
                        new StateGraph("outer")
                                .addNode("l", sub.asNode())
                                .addNode("r", (state, run) -> NodeResult.update("city", 2)),
                        "start > l r",
                        "l > end",
                        "r > end")
                .compile();

        assertThatExceptionOfType(GraphRunException.class)
                .isThrownBy(() -> graph.invoke(Map.of()).block())
                .withMessageContaining("both write the key \"city\"");
    }

    @Test
    @DisplayName("on the state of a graph that merges one of its keys in another way is refused")
    void otherStrategy() {
        StateGraph outer = edges(
                new StateGraph("outer")
                        .addNode("sub", line("inner", "a").compile().asNode()),
                "start > sub",
                "sub > end");

        assertThatExceptionOfType(GraphDefinitionException.class)
                .isThrownBy(outer::compile)
                .withMessage("graph \"outer\": node \"sub\" shares the state with graph \"inner\", which merges the key"
                        + " \"log\" in another way: give both the same KeyStrategy");
    }

    @Test
    @DisplayName("that fails is the cause of the run's error, which names both nodes and has what the whole run used")
    void failure() {
        CompiledGraph inner = Graphs.loop(ScriptedModel.threeRounds("any"), 4);
        CompiledGraph graph = Graphs.pair(
                        asks(ScriptedModel.of(Turn.says(100, 8, "Go."))),
                        inner.asNode(state -> Map.of(), state -> Map.of()))
                .compile();

        StepVerifier.create(graph.stream(Map.of()))
                .thenConsumeWhile(output -> true)
                .verifyErrorSatisfies(error -> {
                    assertThat(error).isInstanceOfSatisfying(NodeFailedException.class, outer -> {
                        assertThat(outer.node()).isEqualTo("second");
                        assertThat(outer.usage().total()).isEqualTo(OUTER.plus(INNER));
                    });
                    assertThat(error.getCause())
                            .isInstanceOfSatisfying(
                                    NodeFailedException.class,
                                    cause -> assertThat(cause.node()).isEqualTo("ask"));
                });
    }

    @Test
    @DisplayName("has its own limit on node executions")
    void limit() {
        CompiledGraph inner = line("inner", "a", "b").compile(CompileConfig.DEFAULT.withMaxIterations(1));

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(
                        () -> around(inner.asNode()).compile().invoke(Map.of()).block())
                .withCauseInstanceOf(MaxIterationsException.class);
        assertThat(around(line("inner", "a", "b").compile().asNode())
                        .compile(CompileConfig.DEFAULT.withMaxIterations(3))
                        .invoke(Map.of())
                        .block()
                        .isEnd())
                .isTrue();
    }

    @Test
    @DisplayName("is cancelled with the run, and takes an output at a time")
    void cancelAndDemand() {
        PublisherProbe<Map<String, ?>> never = PublisherProbe.of(Mono.never());
        CompiledGraph inner = Graphs.pair(
                        (state, run) -> NodeResult.none(), (state, run) -> NodeResult.deferred(never.mono()))
                .compile();
        CompiledGraph graph =
                around(inner.asNode(state -> Map.of(), state -> Map.of())).compile();

        StepVerifier.create(graph.stream(Map.of()), 2)
                .expectNextCount(2)
                .then(never::assertWasNotSubscribed)
                .thenRequest(1)
                .then(never::assertWasSubscribed)
                .thenCancel()
                .verify();

        never.assertWasCancelled();
    }

    @Test
    @DisplayName("may not be given the reserved key")
    void reservedKey() {
        CompiledGraph inner = line("inner", "a").compile();

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> around(inner.asNode(state -> Map.of("_TOKEN_USAGE_", 1), state -> Map.of()))
                        .compile()
                        .invoke(Map.of())
                        .block())
                .withCauseInstanceOf(GraphDefinitionException.class);
    }

    @Test
    @DisplayName("on the same state goes on with its messages")
    void conversation() {
        ScriptedModel model = ScriptedModel.threeRounds("any");
        CompiledGraph one = Graphs.loop(model, 1);
        CompiledGraph all = Graphs.loop(model, 3);
        CompiledGraph graph = Graphs.pair(one.asNode(), all.asNode()).compile();

        NodeOutput end = graph.stream(Map.of()).blockLast();

        assertThat(end.state().<Message>list(Graphs.ANSWERS)).hasSize(3);
        assertThat(end.runUsage().total()).isEqualTo(INNER);
    }
}
