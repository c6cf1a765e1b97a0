package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;
import reactor.test.scheduler.VirtualTimeScheduler;
import reactor.util.retry.Retry;

@DisplayName("a node with a limit on its time")
@Timeout(60)
class NodeTimeoutTest {

    private static final String LOG = "log";
    private static final NodeConfig MINUTE = NodeConfig.DEFAULT.withTimeout(Duration.ofMinutes(1));

    private static CompiledGraph single(NodeAction action, NodeConfig config) {
        return edges(
                        new StateGraph("single")
                                .keyStrategy(LOG, KeyStrategy.APPEND)
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("node", action, config),
                        "start > node",
                        "node > end")
                .compile();
    }

    private static void assertTimedOut(Throwable error) {
        assertThat(error)
                .isExactlyInstanceOf(NodeFailedException.class)
                .cause()
                .isExactlyInstanceOf(TimeoutException.class)
                .hasMessage("graph \"single\": node \"node\" took longer than its timeout of PT1M");
    }

    static Stream<Arguments> kinds() {
        return Stream.of(
                kind("a Mono", NodeResult::deferred),
                kind("a stream", values -> NodeResult.chunks(values.map(value -> ""), () -> ChunkJoiner.text("text"))),
                kind(
                        "a graph inside",
                        values -> NodeResult.subGraph(
                                Graphs.single((state, run) -> NodeResult.deferred(values))
                                        .compile(),
                                Map.of(),
                                GraphState::values)));
    }

    private static Arguments kind(String name, Function<Mono<Map<String, ?>>, NodeResult> kind) {
        return Arguments.argumentSet(name, kind);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    @DisplayName("is cancelled at its end, and fails with an error that names graph, node and limit")
    void tooLong(Function<Mono<Map<String, ?>>, NodeResult> kind) {
        PublisherProbe<Map<String, ?>> never = PublisherProbe.of(Mono.never());
        CompiledGraph graph = single((state, run) -> kind.apply(never.mono()), MINUTE);

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()))
                .expectSubscription()
                .expectNoEvent(Duration.ofSeconds(59))
                .then(never::assertWasNotCancelled)
                .thenAwait(Duration.ofSeconds(1))
                .verifyErrorSatisfies(NodeTimeoutTest::assertTimedOut);

        never.assertWasCancelled();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    @DisplayName("is not disturbed within it, nor is what follows")
    void within(Function<Mono<Map<String, ?>>, NodeResult> kind) {
        CompiledGraph graph = edges(
                        new StateGraph("line")
                                .addNode(
                                        "node",
                                        (state, run) -> kind.apply(Mono.<Map<String, ?>>just(Map.of())
                                                .delayElement(Duration.ofSeconds(59))),
                                        MINUTE)
                                .addNode(
                                        "slow",
                                        (state, run) -> NodeResult.deferred(Mono.<Map<String, ?>>just(Map.of())
                                                .delayElement(Duration.ofHours(1)))),
                        "start > node",
                        "node > slow",
                        "slow > end")
                .compile();

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()).last())
                .thenAwait(Duration.ofHours(2))
                .assertNext(output -> assertThat(output.isEnd()).isTrue())
                .verifyComplete();
    }

    @Test
    @DisplayName("T7: keeps the running figure of its model, graded as partial, and cancels the model")
    void midStream() {
        PublisherProbe<ChatResponse> answer = PublisherProbe.of(
                Flux.fromIterable(Turn.says(100, 8, "a", "b", "c").chunks("id", UsageAt.EVERY_CHUNK))
                        .take(2)
                        .concatWith(Flux.never()));
        CompiledGraph graph = single(asks(ScriptedModel.of(Turn.says(100, 8)).over(chunks -> answer.flux())), MINUTE);

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()))
                .expectNextCount(2)
                .thenAwait(Duration.ofMinutes(1))
                .verifyErrorSatisfies(error -> {
                    assertTimedOut(error);
                    assertThat(((NodeFailedException) error).usage().inFlight()).isZero();
                    assertThat(((NodeFailedException) error).usage().requests())
                            .extracting(RequestUsage::usage, RequestUsage::source, RequestUsage::outcome)
                            .containsExactly(
                                    tuple(TokenUsage.of(100, 4), UsageSource.PARTIAL, RequestOutcome.CANCELLED));
                });

        answer.assertWasCancelled();
    }

    @Test
    @DisplayName("has it anew for each attempt")
    void eachAttempt() {
        AtomicInteger begun = new AtomicInteger();
        NodeAction action = (state, run) -> NodeResult.deferred(
                begun.incrementAndGet() < 3
                        ? Mono.never()
                        : Mono.<Map<String, ?>>just(Map.of(LOG, "done")).delayElement(Duration.ofSeconds(59)));

        StepVerifier.withVirtualTime(() -> single(action, MINUTE.withRetry(Retry.max(2))).stream(Map.of()))
                .thenAwait(Duration.ofSeconds(179))
                .assertNext(output -> assertThat(output.attempt()).isEqualTo(3))
                .assertNext(end -> assertThat(end.state().list(LOG)).hasSize(1))
                .verifyComplete();
        StepVerifier.withVirtualTime(() ->
                        single((state, run) -> NodeResult.deferred(Mono.never()), MINUTE.withRetry(Retry.max(2)))
                                .stream(Map.of()))
                .expectSubscription()
                .expectNoEvent(Duration.ofSeconds(179))
                .thenAwait(Duration.ofSeconds(1))
                .verifyErrorSatisfies(NodeTimeoutTest::assertTimedOut);
    }

    static Stream<Arguments> lateWays() {
        return Stream.of(
                late("a value", (blocked, update) -> {
                    blocked.run();
                    return NodeResult.update(update);
                }),
                late(
                        "a Mono",
                        (blocked, update) -> NodeResult.deferred(Mono.<Map<String, ?>>fromSupplier(() -> {
                            blocked.run();
                            return update;
                        }))),
                late(
                        "a joiner",
                        (blocked, update) -> NodeResult.chunks(Flux.<Object>empty(), () -> new ChunkJoiner<Object>() {
                            @Override
                            public String add(Object chunk) {
                                return "";
                            }

                            @Override
                            public Map<String, ?> update() {
                                blocked.run();
                                return update;
                            }
                        })),
                late(
                        "a graph inside",
                        (blocked, update) -> NodeResult.subGraph(
                                Graphs.single((state, run) -> NodeResult.none()).compile(), Map.of(), state -> {
                                    blocked.run();
                                    return update;
                                })));
    }

    private static Arguments late(String name, BiFunction<Runnable, Map<String, ?>, NodeResult> way) {
        // Nothing is heard of a Mono that was cancelled.
        return Arguments.argumentSet(name, !name.equals("a Mono"), way);
    }

    @ParameterizedTest
    @MethodSource("lateWays")
    @DisplayName("that completes when it was given up writes nothing, but what it says that it used is counted")
    void late(boolean says, BiFunction<Runnable, Map<String, ?>, NodeResult> way) throws Exception {
        CountDownLatch first = new CountDownLatch(1);
        CountDownLatch second = new CountDownLatch(1);
        Sinks.One<Map<String, ?>> update = Sinks.one();
        NodeAction action = (state, run) -> {
            if (first.getCount() == 0) {
                second.countDown();
                return NodeResult.deferred(update.asMono());
            }
            Runnable blocks = () -> {
                first.countDown();
                await(second);
            };
            return way.apply(blocks, Map.of(LOG, "late", GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(100, 8)));
        };
        Sinks.One<NodeOutput> end = Sinks.one();
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try {
            Thread runs = new Thread(() -> single(action, MINUTE.withRetry(Retry.max(1))).stream(Map.of())
                    .last()
                    .subscribe(end::tryEmitValue, end::tryEmitError));
            runs.start();
            first.await();
            time.advanceTimeBy(Duration.ofMinutes(1));
            runs.join();
        } finally {
            VirtualTimeScheduler.reset();
        }
        update.tryEmitValue(Map.of(LOG, "in time"));

        NodeOutput output = end.asMono().block();
        assertThat(output.state().<Object>list(LOG)).containsExactly("in time");
        assertThat(output.runUsage().total()).isEqualTo(says ? TokenUsage.of(100, 8) : TokenUsage.ZERO);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("that blocks a thread made for it is interrupted at its end")
    void interrupted(boolean inAction) throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch interrupted = new CountDownLatch(1);
        Runnable blocks = () -> {
            begun.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException expected) {
                interrupted.countDown();
            }
        };
        ExecutorService thread = Executors.newSingleThreadExecutor();
        Scheduler own = Schedulers.fromExecutorService(thread);
        NodeAction action = inAction
                ? (state, run) -> {
                    blocks.run();
                    return NodeResult.none();
                }
                : (state, run) -> NodeResult.blocking(() -> {
                    blocks.run();
                    return Map.of();
                });
        Sinks.One<NodeOutput> end = Sinks.one();
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try {
            single(action, MINUTE.withScheduler(own)).invoke(Map.of()).subscribe(end::tryEmitValue, end::tryEmitError);
            begun.await();
            time.advanceTimeBy(Duration.ofMinutes(1));

            StepVerifier.create(end.asMono()).verifyErrorSatisfies(NodeTimeoutTest::assertTimedOut);
            assertThat(interrupted.await(30, TimeUnit.SECONDS)).isTrue();
        } finally {
            VirtualTimeScheduler.reset();
            thread.shutdownNow();
        }
    }

    @Test
    @DisplayName("needs one that is positive")
    void positive() {
        for (Duration wrong : List.of(Duration.ZERO, Duration.ofSeconds(-1))) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> NodeConfig.DEFAULT.withTimeout(wrong))
                    .withMessage("timeout must be positive, but is " + wrong);
        }
        assertThat(MINUTE.withTimeout(null)).isEqualTo(NodeConfig.DEFAULT);
    }
}
