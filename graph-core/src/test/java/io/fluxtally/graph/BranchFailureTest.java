package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.reactivestreams.Subscription;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.Disposable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;

@DisplayName("branches of which one fails or that are cancelled")
@Timeout(60)
class BranchFailureTest {

    private static final IOException BROKEN = new IOException("line is dead");

    private final Sinks.One<Map<String, ?>> failing = Sinks.one();

    /** Half an answer, and then nothing more. */
    private final PublisherProbe<ChatResponse> halfAnswer =
            PublisherProbe.of(Flux.fromIterable(Turn.says(100, 8, "a", "b", "c").chunks("id", UsageAt.EVERY_CHUNK))
                    .take(2)
                    .concatWith(Flux.never()));

    private final NodeAction fails = (state, run) -> NodeResult.deferred(failing.asMono());
    private final NodeAction hangs = asks(ScriptedModel.of(Turn.says(100, 8)).over(chunks -> halfAnswer.flux()));
    private final NodeAction answers = asks(ScriptedModel.of(Turn.says(7, 1, "Yes.")));

    private CompiledGraph graph(NodeAction failing) {
        return edges(
                        new StateGraph("trip")
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("answers", answers)
                                .addNode("hangs", hangs)
                                .addNode("fails", failing),
                        "start > answers hangs fails",
                        "answers > end",
                        "hangs > end",
                        "fails > end")
                .compile();
    }

    private static void assertKeepsWhatWasUsed(RunUsage usage) {
        assertThat(usage.total()).isEqualTo(TokenUsage.of(107, 5));
        assertThat(usage.isComplete()).isFalse();
        assertThat(usage.inFlight()).isZero();
        assertThat(usage.requests())
                .filteredOn(request -> "hangs".equals(request.node()))
                .singleElement()
                .satisfies(request -> {
                    assertThat(request.source()).isEqualTo(UsageSource.PARTIAL);
                    assertThat(request.outcome()).isEqualTo(RequestOutcome.CANCELLED);
                });
    }

    @Test
    @DisplayName("T7: cancel the others at once, and the error has what all of them had used, graded")
    void failure() {
        StepVerifier.create(graph(fails).stream(Map.of()))
                .expectNextCount(4)
                .then(() -> failing.tryEmitError(BROKEN))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(NodeFailedException.class, failure -> {
                            assertThat(failure)
                                    .hasMessage(
                                            "graph \"trip\": node \"fails\" failed: java.io.IOException: line is dead");
                            assertThat(failure.getCause()).isSameAs(BROKEN);
                            assertThat(failure.node()).isEqualTo("fails");
                            assertKeepsWhatWasUsed(failure.usage());
                        }));

        halfAnswer.assertWasCancelled();
    }

    @Test
    @DisplayName("T7: that is a timeout of one node's cancel the others as well")
    void timeout() {
        CompiledGraph graph = graph(
                (state, run) -> NodeResult.deferred(Mono.<Map<String, ?>>never().timeout(Duration.ofSeconds(30))));

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()))
                .expectNextCount(4)
                .expectNoEvent(Duration.ofSeconds(29))
                .thenAwait(Duration.ofSeconds(1))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .hasCauseInstanceOf(TimeoutException.class)
                        .isInstanceOfSatisfying(
                                NodeFailedException.class, failure -> assertKeepsWhatWasUsed(failure.usage())));

        halfAnswer.assertWasCancelled();
    }

    @Test
    @DisplayName("T7: by a timeout of the run's are all cancelled, and the run keeps what they had used")
    void timeoutOfTheRun() {
        RunScope scope = RunScope.start();
        CompiledGraph graph = graph((state, run) -> NodeResult.deferred(Mono.never()));

        StepVerifier.withVirtualTime(() -> scope.wrap(graph.stream(Map.of())).timeout(Duration.ofSeconds(30)))
                .expectNextCount(4)
                .thenAwait(Duration.ofSeconds(30))
                .verifyError(TimeoutException.class);

        halfAnswer.assertWasCancelled();
        assertKeepsWhatWasUsed(scope.usage());
    }

    @Test
    @DisplayName("T7: by the consumer stop at once, every one of them, and the run keeps what they had used")
    void cancel() {
        PublisherProbe<Map<String, ?>> other = PublisherProbe.of(Mono.never());
        RunScope scope = RunScope.start();
        CompiledGraph graph = graph((state, run) -> NodeResult.deferred(other.mono()));

        StepVerifier.create(scope.wrap(graph.stream(Map.of())))
                .expectNextCount(4)
                .thenCancel()
                .verify();

        halfAnswer.assertWasCancelled();
        other.assertWasCancelled();
        assertKeepsWhatWasUsed(scope.usage());
    }

    @Test
    @DisplayName("interrupt what blocks in the others, not streamed either")
    void interrupts() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch interrupted = new CountDownLatch(1);
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .addNode("fails", fails)
                                .addNode(
                                        "blocks",
                                        (state, run) -> NodeResult.blocking(() -> {
                                            begun.countDown();
                                            try {
                                                new CountDownLatch(1).await();
                                            } catch (InterruptedException expected) {
                                                interrupted.countDown();
                                            }
                                            return Map.of();
                                        })),
                        "start > fails blocks",
                        "fails > end",
                        "blocks > end")
                .compile();

        Disposable run = graph.invoke(Map.of()).onErrorComplete().subscribe();
        assertThat(begun.await(30, TimeUnit.SECONDS)).isTrue();
        failing.tryEmitError(BROKEN);

        assertThat(interrupted.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(run.isDisposed()).isTrue();
    }

    @Test
    @DisplayName("that fail within branches cancel those outside too, and the error has what all had used")
    void nested() {
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("answers", answers)
                                .addNode("hangs", hangs)
                                .addNode("inner", (state, run) -> NodeResult.none())
                                .addNode("fails", fails),
                        "start > hangs inner",
                        "hangs > end",
                        "inner > answers fails",
                        "answers > end",
                        "fails > end")
                .compile();

        StepVerifier.create(graph.stream(Map.of()))
                .expectNextCount(5)
                .then(() -> failing.tryEmitError(BROKEN))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isInstanceOfSatisfying(
                                NodeFailedException.class, failure -> assertKeepsWhatWasUsed(failure.usage())));
    }

    /** Two branches: {@code left}, and {@code right}, behind which there are two again, which both ask. */
    private CompiledGraph leadingOn(NodeAction left, ScriptedModel asked) {
        return edges(
                        new StateGraph("trip")
                                .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                                .addNode("left", left)
                                .addNode("right", (state, run) -> NodeResult.none())
                                .addNode("asks", asks(asked))
                                .addNode("asks too", asks(asked)),
                        "start > left right",
                        "left > end")
                .addEdge("right", "asks")
                .addEdge("right", "asks too")
                .addEdge("asks", StateGraph.END)
                .addEdge("asks too", StateGraph.END)
                .compile();
    }

    @Test
    @DisplayName("ask nothing more once their consumer has left while one of them was heard")
    void cancelledInMidOutput() {
        for (long demand : new long[] {1, 2, Long.MAX_VALUE}) {
            ScriptedModel asked = ScriptedModel.of(Turn.says(7, 1, "Yes."));
            CompiledGraph graph = leadingOn((state, run) -> NodeResult.deferred(failing.asMono()), asked);

            graph.stream(Map.of()).subscribe(new BaseSubscriber<>() {
                @Override
                protected void hookOnSubscribe(Subscription subscription) {
                    request(demand);
                }

                @Override
                protected void hookOnNext(NodeOutput output) {
                    cancel();
                }
            });

            assertThat(asked.prompts()).as("demand " + demand).isEmpty();
        }
    }

    @Test
    @DisplayName("ask nothing more once one has failed while another was heard")
    void failedInMidOutput() {
        ScriptedModel asked = ScriptedModel.of(Turn.says(7, 1, "Yes."));
        CompiledGraph graph = leadingOn((state, run) -> NodeResult.deferred(failing.asMono()), asked);

        StepVerifier.create(graph.stream(Map.of()).doOnNext(output -> {
                    if (output.node().equals("right")) {
                        failing.tryEmitError(BROKEN);
                    }
                }))
                .expectNextCount(1)
                .verifyError(NodeFailedException.class);

        assertThat(asked.prompts()).isEmpty();
    }
}
