package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.LongStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

@DisplayName("the usage of branches")
@Timeout(120)
class BranchUsageTest {

    private static ScriptedModel model(int input, int output, UsageAt usageAt) {
        return ScriptedModel.of(Turn.says(input, output, "a ", "b ", "c"))
                .with(usageAt)
                .over(chunks -> chunks.publishOn(Schedulers.parallel()));
    }

    private static CompiledGraph threeBranches(UsageAt usageAt) {
        CompiledGraph sub = Graphs.loop(ScriptedModel.threeRounds("any").with(usageAt), 3);
        return edges(
                        new StateGraph("trip")
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("a", asks(model(100, 8, usageAt)))
                                .addNode("b", asks(model(30, 2, usageAt)))
                                .addNode("sub", sub.asNode(state -> Map.of(), state -> Map.of())),
                        "start > a b sub",
                        "a > end",
                        "b > end",
                        "sub > end")
                .compile();
    }

    @ParameterizedTest
    @EnumSource(UsageAt.class)
    @DisplayName("T9: is in the run once, and every view adds up to it, in stream and in invoke")
    void once(UsageAt usageAt) {
        for (NodeOutput end : List.of(
                threeBranches(usageAt).stream(Map.of()).blockLast(),
                threeBranches(usageAt).invoke(Map.of()).block())) {
            RunUsage usage = end.runUsage();
            assertThat(usage.total()).isEqualTo(TokenUsage.of(19130, 7510));
            assertThat(usage.requests()).hasSize(5);
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.byNode()).containsOnlyKeys("a", "b", "ask");
            for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
                assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                        .isEqualTo(usage.total());
            }
        }
    }

    @Test
    @DisplayName(
            "T11: is each node's own on its output, and their sum over the outputs of the graph's own nodes is the run's")
    void deltas() {
        List<NodeOutput> outputs = threeBranches(UsageAt.EVERY_CHUNK).stream(Map.of())
                .collectList()
                .block();

        assertThat(outputs.stream()
                        .filter(output -> output.path().isEmpty() && output.tokenUsage() != null)
                        .map(NodeOutput::tokenUsage)
                        .reduce(TokenUsage.ZERO, TokenUsage::plus))
                .isEqualTo(TokenUsage.of(19130, 7510));
    }

    @Test
    @DisplayName("T9: starts from zero in each, while the run's total has all")
    void fromZero() {
        List<TokenUsage> parts = new CopyOnWriteArrayList<>();
        List<TokenUsage> totals = new CopyOnWriteArrayList<>();
        StateGraph definition = new StateGraph("trip").keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND);
        definition.addNode("before", asks(ScriptedModel.of(Turn.says(1000, 1, "x"))));
        for (int i = 1; i <= 3; i++) {
            definition
                    .addNode(
                            "ask" + i,
                            (state, run) -> NodeResult.update(GraphRunnerContext.TOKEN_USAGE, TokenUsage.of(10, 1)))
                    .addNode("look" + i, (state, run) -> {
                        parts.add(run.partUsage().total());
                        totals.add(run.getTokenUsage());
                        return NodeResult.none();
                    })
                    .addEdge("before", "ask" + i)
                    .addEdge("ask" + i, "look" + i)
                    .addEdge("look" + i, StateGraph.END);
        }

        NodeOutput end = definition
                .addEdge(StateGraph.START, "before")
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(parts).containsExactly(TokenUsage.of(10, 1), TokenUsage.of(10, 1), TokenUsage.of(10, 1));
        assertThat(totals.get(2)).isEqualTo(TokenUsage.of(1030, 4));
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(1030, 4));
    }

    @Test
    @DisplayName("in a loop around them is counted under the turn of the loop")
    void rounds() {
        NodeAction uses = (state, run) -> NodeResult.update(GraphRunnerContext.TOKEN_USAGE, TokenUsage.of(10, 1));
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .keyStrategy("turn", (old, update) -> (old == null ? 0 : (int) old) + (int) update)
                                .addNode("fork", (state, run) -> NodeResult.update("turn", 1))
                                .addNode("a", uses)
                                .addNode("b", uses)
                                .addNode("join", (state, run) -> NodeResult.none()),
                        "start > fork",
                        "fork > a b",
                        "a > join",
                        "b > join")
                .addConditionalEdges(
                        "join",
                        state -> state.value("turn", Integer.class).orElse(0) < 3 ? "again" : "end",
                        Map.of("again", "fork", "end", StateGraph.END))
                .compile();

        RunUsage usage = graph.invoke(Map.of()).block().runUsage();

        assertThat(usage.byRound()).containsOnlyKeys(1, 2, 3);
        assertThat(usage.byRound().values())
                .allSatisfy(sum -> assertThat(sum.total()).isEqualTo(TokenUsage.of(20, 2)));
    }

    private static final int RUNS = 1_000;

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("of 1,000 runs of one graph at once is each run's own")
    void apart(boolean streaming) {
        UsageRecorder recorder = UsageRecorder.withSinks();
        NodeAction uses = (state, run) -> {
            int number = state.value("number", Integer.class).orElseThrow();
            ScriptedModel model = ScriptedModel.of(Turn.says(1_000 + number, number, "a", "b"))
                    .over(chunks -> chunks.concatMap(chunk -> Mono.just(chunk).subscribeOn(Schedulers.parallel())));
            return asks(model).apply(state, run);
        };
        CompileConfig config = CompileConfig.DEFAULT.withRecorder(recorder);
        CompiledGraph sub = Graphs.single(uses)
                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                .compile(config);
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("a", uses)
                                .addNode("b", uses)
                                .addNode("sub", sub.asNode()),
                        "start > a b sub",
                        "a > end",
                        "b > end",
                        "sub > end")
                .compile(config);

        List<NodeOutput> ends = Flux.range(0, RUNS)
                .flatMapSequential(
                        number -> (streaming
                                        ? graph.stream(Map.of("number", number)).last()
                                        : graph.invoke(Map.of("number", number)))
                                .subscribeOn(Schedulers.parallel()),
                        RUNS)
                .collectList()
                .block();

        for (int number = 0; number < RUNS; number++) {
            NodeOutput end = ends.get(number);
            assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(3L * (1_000 + number), 3L * number));
            assertThat(end.runUsage().requests())
                    .hasSize(3)
                    .extracting(RequestUsage::runId)
                    .containsOnly(end.runUsage().requests().get(0).runId());
            assertThat(end.state().list(Graphs.ANSWERS)).hasSize(3);
        }
        assertThat(recorder.processSum().requests()).isEqualTo(3L * RUNS);
        assertThat(recorder.processSum().total().inputTokens())
                .isEqualTo(LongStream.range(0, RUNS).map(i -> 3 * (1_000 + i)).sum());
        assertThat(recorder.unattributed()).isZero();
    }
}
