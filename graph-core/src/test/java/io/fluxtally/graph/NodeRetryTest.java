package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.scripted.FailingModel;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.util.context.Context;
import reactor.util.retry.Retry;

@DisplayName("a node that is tried again")
@Timeout(60)
class NodeRetryTest {

    private static final String LOG = "log";

    private final AtomicInteger begun = new AtomicInteger();

    private enum Way {
        STREAM {
            @Override
            NodeOutput end(CompiledGraph graph) {
                return graph.stream(Map.of()).blockLast();
            }
        },
        INVOKE {
            @Override
            NodeOutput end(CompiledGraph graph) {
                return graph.invoke(Map.of()).block();
            }
        };

        abstract NodeOutput end(CompiledGraph graph);
    }

    private static NodeConfig retrying(int max) {
        return NodeConfig.DEFAULT.withRetry(Retry.max(max));
    }

    private static StateGraph single(NodeAction action, NodeConfig config) {
        return edges(
                new StateGraph("single")
                        .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                        .keyStrategy(LOG, KeyStrategy.APPEND)
                        .addNode("node", action, config),
                "start > node",
                "node > end");
    }

    private static ScriptedModel spelling() {
        return ScriptedModel.of(Turn.says(100, 9, "a", "b")).with(UsageAt.EVERY_CHUNK);
    }

    /** An action that fails as often as given, then does the other. */
    private NodeAction failing(int times, NodeAction action) {
        return (state, run) -> {
            int attempt = begun.incrementAndGet();
            if (attempt <= times) {
                throw new IllegalStateException("failure " + attempt);
            }
            return action.apply(state, run);
        };
    }

    private static NodeFailedException failureOf(Way way, CompiledGraph graph) {
        NodeFailedException failure = catchThrowableOfType(NodeFailedException.class, () -> way.end(graph));
        assertThat(failure).isNotNull();
        return failure;
    }

    @Test
    @DisplayName("T8: keeps what each attempt used in its own usage, and has the last one's words alone in its state")
    void streamed() {
        CompiledGraph graph =
                single(asks(FailingModel.of(spelling(), 2)), retrying(2)).compile();

        List<NodeOutput> outputs = graph.stream(Map.of()).collectList().block();

        assertThat(outputs)
                .extracting(NodeOutput::node, NodeOutput::attempt)
                .containsExactly(
                        tuple("node", 1),
                        tuple("node", 2),
                        tuple("node", 3),
                        tuple("node", 3),
                        tuple("node", 3),
                        tuple(StateGraph.END, 1));
        assertThat(outputs.get(4).nodeUsage().requests())
                .extracting(
                        RequestUsage::attempt,
                        RequestUsage::round,
                        RequestUsage::source,
                        request -> request.usage().outputTokens())
                .containsExactly(
                        tuple(1, 1, UsageSource.PARTIAL, 3L),
                        tuple(2, 1, UsageSource.PARTIAL, 3L),
                        tuple(3, 1, UsageSource.REPORTED, 9L));
        assertThat(outputs.get(5).runUsage()).isEqualTo(outputs.get(4).nodeUsage());
        assertThat(outputs.get(5).state().list(Graphs.ANSWERS))
                .singleElement()
                .hasToString(String.valueOf(single(asks(spelling()), NodeConfig.DEFAULT).compile().stream(Map.of())
                        .blockLast()
                        .state()
                        .list(Graphs.ANSWERS)
                        .get(0)));
    }

    @Test
    @DisplayName("T8: books each of its calls where it is not streamed")
    void invoked() {
        NodeOutput end = single(asks(FailingModel.of(spelling(), 1)), retrying(1))
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(end.runUsage().requests())
                .extracting(RequestUsage::attempt, RequestUsage::source)
                .containsExactly(tuple(1, UsageSource.MISSING), tuple(2, UsageSource.REPORTED));
        assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("counts what an attempt says itself, beside what was captured in the one before")
    void saysItself(Way way) {
        NodeAction action = (state, run) -> begun.incrementAndGet() == 1
                ? NodeResult.deferred(
                        run.capture(spelling()).stream(new Prompt("Hi")).then(Mono.error(new IllegalStateException())))
                : NodeResult.update(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(5, 1));

        NodeOutput end = way.end(single(action, retrying(1)).compile());

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(105, 10));
        assertThat(end.runUsage().requests()).extracting(RequestUsage::attempt).containsExactlyInAnyOrder(1, 2);
    }

    static Stream<Arguments> exhausted() {
        return Stream.of(
                Arguments.argumentSet("Reactor's", Retry.max(2)),
                Arguments.argumentSet("Reactor's with a back-off", Retry.fixedDelay(2, Duration.ofMillis(1))),
                Arguments.argumentSet(
                        "one with a filter",
                        Retry.indefinitely().filter(error -> !error.getMessage().equals("failure 3"))),
                Arguments.argumentSet(
                        "one that just ends",
                        Retry.from(signals -> signals.takeWhile(signal -> signal.totalRetries() < 2))));
    }

    @ParameterizedTest
    @MethodSource("exhausted")
    @DisplayName("as often as its retry says fails with the last of its own errors, and with what all attempts used")
    void exhausted(Retry retry) {
        NodeConfig config = NodeConfig.DEFAULT.withRetry(retry);
        for (Way way : Way.values()) {
            FailingModel model = FailingModel.of(spelling(), 10);

            NodeFailedException failure =
                    failureOf(way, single(asks(model), config).compile());

            assertThat(failure)
                    .hasMessage("graph \"single\": node \"node\" failed: java.lang.IllegalStateException: failure 3");
            assertThat(failure.getCause()).isExactlyInstanceOf(IllegalStateException.class);
            assertThat(failure.usage().requests()).hasSize(3);
            assertThat(failure.usage().inFlight()).isZero();
            assertThat(model.asked()).isEqualTo(3);
        }
    }

    @Test
    @DisplayName("by a spec with an error of its own fails with that, and the spec sees its own context")
    void ownError() {
        AtomicInteger seen = new AtomicInteger();
        Retry retry = Retry.max(1)
                .withRetryContext(Context.of("seen", seen))
                .doBeforeRetry(signal ->
                        signal.retryContextView().<AtomicInteger>get("seen").incrementAndGet())
                .onRetryExhaustedThrow((spec, signal) -> new IllegalArgumentException("enough"));

        NodeFailedException failure = failureOf(
                Way.STREAM,
                single(failing(9, (state, run) -> NodeResult.none()), NodeConfig.DEFAULT.withRetry(retry))
                        .compile());

        assertThat(failure).hasRootCauseMessage("enough");
        assertThat(seen).hasValue(1);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("is not once a limit on usage has refused it")
    void refused(Way way) {
        FailingModel model = FailingModel.of(spelling(), 10);
        NodeAction action = (state, run) -> {
            begun.incrementAndGet();
            return asks(model).apply(state, run);
        };

        NodeFailedException failure = failureOf(
                way,
                single(action, NodeConfig.DEFAULT.withRetry(Retry.max(9)))
                        .compile(CompileConfig.DEFAULT.withLimits(UsageLimits.NONE.withRequests(2))));

        assertThat(failure).hasCauseInstanceOf(UsageLimitExceededException.class);
        assertThat(failure.usage().requests()).hasSize(2);
        assertThat(model.asked()).isEqualTo(2);
        assertThat(begun).hasValue(3);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("is not once the graph in it has come to its limit on node executions")
    void tooMany(Way way) {
        CompiledGraph inner = edges(
                        new StateGraph("inner")
                                .addNode("a", failing(0, (state, run) -> NodeResult.none()))
                                .addNode("b", (state, run) -> NodeResult.none()),
                        "start > a",
                        "a > b",
                        "b > end")
                .compile(CompileConfig.DEFAULT.withMaxIterations(1));

        assertThat(failureOf(way, single(inner.asNode(), retrying(9)).compile()))
                .hasCauseInstanceOf(MaxIterationsException.class);
        assertThat(begun).hasValue(1);
    }

    private StateGraph askingThenFailing(NodeAction second, NodeConfig config) {
        return edges(
                new StateGraph("inner")
                        .keyStrategy(LOG, KeyStrategy.APPEND)
                        .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                        .addNode("ask", asks(spelling()))
                        .addNode("log", (state, run) -> NodeResult.update(LOG, "inner"))
                        .addNode("last", second, config),
                "start > ask",
                "ask > log",
                "log > last",
                "last > end");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("with a graph inside begins that anew: what its nodes wrote is gone, what they used is not")
    void subGraph(boolean shared) {
        CompiledGraph inner = askingThenFailing(
                        failing(1, (state, run) -> NodeResult.update(LOG, "done")), NodeConfig.DEFAULT)
                .compile();
        NodeAction sub = shared
                ? inner.asNode()
                : inner.asNode(
                        state -> Map.of(),
                        state -> Map.of(LOG, state.list(LOG), Graphs.ANSWERS, state.list(Graphs.ANSWERS)));

        List<NodeOutput> outputs = single(sub, retrying(1)).compile().stream(Map.of(LOG, "before"))
                .collectList()
                .block();

        NodeOutput end = outputs.get(outputs.size() - 1);
        assertThat(end.state().<Object>list(LOG)).containsExactly("before", "inner", "done");
        assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 18));
        assertThat(end.runUsage().requests())
                .extracting(RequestUsage::node, RequestUsage::round, RequestUsage::attempt)
                .containsExactly(tuple("ask", 1, 1), tuple("ask", 1, 2));
        assertThat(outputs)
                .filteredOn(output -> !(output instanceof StreamingOutput chunk) || chunk.isComplete())
                .extracting(NodeOutput::node, NodeOutput::attempt)
                .containsExactly(
                        tuple("ask", 1),
                        tuple("log", 1),
                        tuple("ask", 2),
                        tuple("log", 2),
                        tuple("last", 2),
                        tuple("node", 2),
                        tuple(StateGraph.END, 1));
    }

    @Test
    @DisplayName("with nodes inside that were tried again too gives each attempt a higher number than those before")
    void nested() {
        CompiledGraph inner = askingThenFailing(
                        failing(3, (state, run) -> NodeResult.chunks(Flux.just("x"), () -> ChunkJoiner.text("text"))),
                        retrying(1))
                .compile();
        CompiledGraph middle = edges(
                        new StateGraph("middle")
                                .keyStrategy(LOG, KeyStrategy.APPEND)
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("plain", inner.asNode()),
                        "start > plain",
                        "plain > end")
                .compile();

        List<NodeOutput> outputs = single(middle.asNode(), retrying(1)).compile().stream(Map.of())
                .collectList()
                .block();

        assertThat(outputs)
                .filteredOn(
                        output -> output.node().equals("log") || output.node().equals("last"))
                .extracting(NodeOutput::node, NodeOutput::attempt)
                .as("the second attempt at the node comes after two at the last node inside")
                .containsExactly(tuple("log", 1), tuple("log", 3), tuple("last", 4), tuple("last", 4));
        assertThat(outputs)
                .filteredOn(output -> output.node().equals("node"))
                .extracting(NodeOutput::attempt)
                .containsExactly(3);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("in a branch is merged once, and the other branch runs once")
    void branch(Way way) {
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .keyStrategy(LOG, KeyStrategy.APPEND)
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("a", asks(FailingModel.of(spelling(), 1)), retrying(1))
                                .addNode("b", (state, run) -> NodeResult.update(LOG, "b"))
                                .addNode(
                                        "c",
                                        failing(2, (state, run) -> NodeResult.update("replaced", "c")),
                                        retrying(2)),
                        "start > a b c",
                        "a > end",
                        "b > end",
                        "c > end")
                .compile();

        NodeOutput end = way.end(graph);

        assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
        assertThat(end.state().<Object>list(LOG)).containsExactly("b");
        assertThat(end.state().value("replaced")).contains("c");
        assertThat(end.runUsage().requests()).hasSize(2);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("on a scheduler of its own is so each time")
    void scheduler(Way way) {
        Scheduler own = Schedulers.newSingle("own");
        List<String> threads = new CopyOnWriteArrayList<>();
        try {
            NodeAction action = failing(2, (state, run) -> NodeResult.none());
            way.end(single(
                            (state, run) -> {
                                threads.add(Thread.currentThread().getName());
                                return action.apply(state, run);
                            },
                            NodeConfig.DEFAULT.withScheduler(own).withRetry(Retry.fixedDelay(2, Duration.ofMillis(1))))
                    .compile());
        } finally {
            own.dispose();
        }

        assertThat(threads).hasSize(3).allMatch(thread -> thread.startsWith("own"));
    }

    @Test
    @DisplayName("is so when its outputs are asked for, and passes on the demand that is left, no more than that")
    void backPressure() {
        AtomicLong requested = new AtomicLong();
        NodeAction action = (state, run) -> {
            boolean first = begun.incrementAndGet() == 1;
            Flux<String> chunks = Flux.range(0, 9).map(String::valueOf).doOnRequest(requested::addAndGet);
            return NodeResult.chunks(
                    first ? chunks.take(2).concatWith(Flux.error(new IllegalStateException())) : chunks,
                    () -> ChunkJoiner.text("text"));
        };

        StepVerifier.create(single(action, retrying(1)).compile().stream(Map.of()), 2)
                .expectNextCount(2)
                .then(() -> assertThat(begun).hasValue(1))
                .then(() -> requested.set(0))
                .thenRequest(3)
                .expectNextCount(3)
                .then(() -> assertThat(begun).hasValue(2))
                .then(() -> assertThat(requested).hasValue(3))
                .thenCancel()
                .verify();
    }

    @Test
    @DisplayName("is not once the run was cancelled during its back-off")
    void cancelledDuringBackOff() {
        CompiledGraph graph = single(
                        failing(9, (state, run) -> NodeResult.none()),
                        NodeConfig.DEFAULT.withRetry(Retry.fixedDelay(9, Duration.ofHours(1))))
                .compile();

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()))
                .thenAwait(Duration.ofMinutes(90))
                .then(() -> assertThat(begun).hasValue(2))
                .thenCancel()
                .verify();
        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()).takeUntilOther(Mono.delay(Duration.ofMinutes(90))))
                .thenAwait(Duration.ofDays(1))
                .verifyComplete();

        assertThat(begun).hasValue(4);
    }
}
