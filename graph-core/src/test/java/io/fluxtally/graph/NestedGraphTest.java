package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

@DisplayName("a run inside another")
@Timeout(60)
class NestedGraphTest {

    private static final TokenUsage OUTER = TokenUsage.of(100, 8);
    private static final TokenUsage INNER = TokenUsage.of(19000, 7500);
    private static final TokenUsage BOTH = TokenUsage.of(19100, 7508);

    private static CompiledGraph inner() {
        return Graphs.loop(ScriptedModel.threeRounds("any").over(chunks -> chunks.publishOn(Schedulers.parallel())), 3);
    }

    /** Every way in which a node may run a graph. */
    static Stream<Arguments> ways() {
        CompiledGraph inner = inner();
        return Stream.of(
                Arguments.of("as its stream of chunks", (NodeAction)
                        (state, run) -> NodeResult.chunks(inner.stream(Map.of()), Ignoring::new)),
                Arguments.of("as its Mono", (NodeAction) (state, run) ->
                        NodeResult.deferred(inner.invoke(Map.of()).map(end -> Map.of()))),
                Arguments.of("as its Mono, on another scheduler", (NodeAction)
                        (state, run) -> NodeResult.deferred(inner.stream(Map.of())
                                .subscribeOn(Schedulers.parallel())
                                .then(Mono.just(Map.of())))),
                Arguments.of("in blocking work, streamed", (NodeAction) (state, run) -> NodeResult.blocking(() -> {
                    inner.stream(Map.of()).blockLast();
                    return Map.of();
                })),
                Arguments.of("in blocking work, not streamed", (NodeAction) (state, run) -> NodeResult.blocking(() -> {
                    inner.invoke(Map.of()).block();
                    return Map.of();
                })));
    }

    private record Ignoring() implements ChunkJoiner<NodeOutput> {

        @Override
        public String add(NodeOutput chunk) {
            return "";
        }

        @Override
        public Map<String, ?> update() {
            return Map.of();
        }
    }

    private static CompiledGraph around(NodeAction second) {
        return Graphs.pair(asks(ScriptedModel.of(Turn.says(100, 8, "Go."))), second)
                .compile();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("ways")
    @DisplayName("T9: by a node is counted in the node and in the outer run, once, in stream and in invoke")
    void once(String way, NodeAction action) {
        for (boolean streaming : new boolean[] {true, false}) {
            CompiledGraph graph = around(action);
            NodeOutput end = streaming
                    ? graph.stream(Map.of()).blockLast()
                    : graph.invoke(Map.of()).block();

            assertThat(end.runUsage().total()).isEqualTo(BOTH);
            assertThat(end.runUsage().requests()).hasSize(4);
            assertThat(end.runUsage().isComplete()).isTrue();
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("ways")
    @DisplayName("T11: by a node is that node's own usage when it has completed")
    void ownUsage(String way, NodeAction action) {
        List<NodeOutput> outputs = around(action).stream(Map.of())
                .filter(output -> output.tokenUsage() != null)
                .collectList()
                .block();

        assertThat(outputs).extracting(NodeOutput::node).containsExactly("first", "second");
        assertThat(outputs).extracting(NodeOutput::tokenUsage).containsExactly(OUTER, INNER);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("ways")
    @DisplayName("adds up by node, agent, round and model with what is around it")
    void views(String way, NodeAction action) {
        RunUsage usage = around(action).stream(Map.of()).blockLast().runUsage();

        assertThat(usage.byNode().get("first").total()).isEqualTo(OUTER);
        assertThat(usage.byNode().get("ask").total()).isEqualTo(INNER);
        assertThat(usage.byRound().get(1).total()).isEqualTo(OUTER.plus(TokenUsage.of(5000, 2000)));
        assertThat(usage.byModel()).containsOnlyKeys(Turn.MODEL);
        for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
            assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(usage.total());
        }
    }

    @Test
    @DisplayName("shares the run's id, and sees its own figures only")
    void startsFromZero() {
        List<TokenUsage> seenInside = new CopyOnWriteArrayList<>();
        List<String> ids = new CopyOnWriteArrayList<>();
        CompiledGraph inside = Graphs.pair(asks(ScriptedModel.of(Turn.says(7, 1, "a"))), (state, run) -> {
                    seenInside.add(run.getTokenUsage());
                    ids.add(run.runId());
                    return NodeResult.none();
                })
                .compile();
        CompiledGraph graph = around((state, run) -> {
            ids.add(run.runId());
            return NodeResult.deferred(inside.invoke(Map.of()).map(end -> Map.of()));
        });

        NodeOutput end = graph.invoke(Map.of()).block();

        assertThat(seenInside).containsExactly(TokenUsage.of(7, 1));
        assertThat(ids).hasSize(2);
        assertThat(ids.get(0)).isEqualTo(ids.get(1));
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(107, 9));
    }

    @Test
    @DisplayName("T9: several at once are each counted once")
    void parallel() {
        CompiledGraph inner = inner();
        CompiledGraph graph = around((state, run) -> NodeResult.deferred(Flux.range(0, 20)
                .flatMap(i -> inner.stream(Map.of()).last().subscribeOn(Schedulers.parallel()), 20)
                .map(end -> end.runUsage().total())
                .collectList()
                .map(totals -> Map.of("totals", totals))));

        NodeOutput end = graph.stream(Map.of()).blockLast();

        assertThat(end.state().<TokenUsage>list("totals")).hasSize(20).containsOnly(INNER);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(20 * 19000 + 100, 20 * 7500 + 8));
        assertThat(end.runUsage().requests()).hasSize(61);
    }

    @Test
    @DisplayName("of the app's own is counted there and in the run's outputs, reactive or on the thread")
    void inScope() throws Exception {
        for (boolean onThread : new boolean[] {true, false}) {
            RunScope outer = RunScope.start("mine");
            CompiledGraph graph = inner();
            NodeOutput end = onThread
                    ? outer.call(() -> graph.stream(Map.of()).blockLast())
                    : outer.wrap(graph.stream(Map.of())).blockLast();

            assertThat(outer.getTokenUsage()).isEqualTo(INNER);
            assertThat(end.runUsage().total()).isEqualTo(INNER);
            assertThat(outer.usage().requests()).extracting(RequestUsage::runId).containsOnly("mine");
        }
    }

    @Test
    @DisplayName("T9: twice in one scope is in the scope twice, and in each run once")
    void twoRunsInOneScope() {
        RunScope outer = RunScope.start();
        CompiledGraph graph = inner();
        List<TokenUsage> totals = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            totals.add(outer.wrap(graph.invoke(Map.of())).block().runUsage().total());
        }

        assertThat(totals).containsExactly(INNER, INNER);
        assertThat(outer.getTokenUsage()).isEqualTo(INNER.plus(INNER));
    }

    @Test
    @DisplayName("of a decorated model's call, with no run around it, is a run of its own")
    void callWithoutRun() {
        AtomicReference<NodeOutput> end = new AtomicReference<>();
        ChatModel asksGraph = prompt -> {
            assertThat(UsageScope.current().runScope()).isNull();
            end.set(inner().invoke(Map.of()).block());
            return Turn.says(100, 8, "Done.").whole("outer");
        };
        UsageRecorder recorder = UsageRecorder.withSinks();

        UsageChatModel.of(asksGraph, recorder).call(new Prompt("Hi"));

        assertThat(end.get().runUsage().total()).isEqualTo(INNER);
        assertThat(recorder.unattributed()).isEqualTo(1);
    }

    @Test
    @DisplayName("T19: as an agent that is a tool of another is counted in both, by agent")
    void agentAsTool() {
        ReactAgent weather = ReactAgent.builder("weather")
                .model(ScriptedModel.of(Turn.asks(500, 40, "station"), Turn.says(700, 60, "Rain.")))
                .tools(Tool.of("station", input -> "wet"))
                .build();
        ReactAgent planner = ReactAgent.builder("planner")
                .model(ScriptedModel.threeRounds("ask_weather"))
                .tools(Tool.of(
                        "ask_weather",
                        input -> ReactAgent.answer(
                                weather.stream("Will it rain?").blockLast())))
                .build();

        for (RunUsage usage : List.of(
                planner.stream("Plan a trip").blockLast().runUsage(),
                planner.invoke("Plan a trip").block().runUsage())) {
            assertThat(usage.total()).isEqualTo(TokenUsage.of(19000 + 2 * 1200, 7500 + 2 * 100));
            assertThat(usage.byAgent().get("planner").total()).isEqualTo(INNER);
            assertThat(usage.byAgent().get("weather").total()).isEqualTo(TokenUsage.of(2400, 200));
            assertThat(usage.byAgent()).containsOnlyKeys("planner", "weather");
        }
    }

    @Test
    @DisplayName("that fails is the cause of the outer run's error, which has what the whole run used")
    void innerFails() {
        CompiledGraph inner = Graphs.loop(ScriptedModel.threeRounds("any"), 4);
        CompiledGraph graph = around((state, run) ->
                NodeResult.deferred(inner.stream(Map.of()).then(Mono.<Map<String, ?>>empty())));

        StepVerifier.create(graph.stream(Map.of()))
                .thenConsumeWhile(output -> true)
                .verifyErrorSatisfies(error -> {
                    assertThat(error).isInstanceOfSatisfying(NodeFailedException.class, outer -> {
                        assertThat(outer.graph()).isEqualTo("pair");
                        assertThat(outer.node()).isEqualTo("second");
                        assertThat(outer.usage().total()).isEqualTo(BOTH);
                    });
                    assertThat(error.getCause()).isInstanceOfSatisfying(NodeFailedException.class, cause -> {
                        assertThat(cause.graph()).isEqualTo("loop");
                        assertThat(cause.node()).isEqualTo("ask");
                        assertThat(cause.usage().total()).isEqualTo(INNER);
                    });
                });
    }
}
