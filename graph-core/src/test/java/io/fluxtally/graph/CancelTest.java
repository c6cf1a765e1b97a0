package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;
import reactor.test.publisher.TestPublisher;

@DisplayName("a run that is cancelled")
@Timeout(60)
class CancelTest {

    private final AtomicInteger later = new AtomicInteger();

    /** A graph of the given node and one behind it, which must not run. */
    private CompiledGraph before(NodeAction action) {
        return new StateGraph("cancelled")
                .addNode("node", action)
                .addNode("later", (state, run) -> {
                    later.incrementAndGet();
                    return NodeResult.none();
                })
                .addEdge(StateGraph.START, "node")
                .addEdge("node", "later")
                .addEdge("later", StateGraph.END)
                .compile();
    }

    @Test
    @DisplayName("in the middle of a stream cancels the node's publisher at once, and nothing runs afterwards")
    void midStream() {
        TestPublisher<String> chunks = TestPublisher.create();
        CompiledGraph graph = before((state, run) -> NodeResult.chunks(chunks, () -> ChunkJoiner.text("text")));

        StepVerifier.create(graph.stream(Map.of()))
                .then(() -> chunks.next("a"))
                .expectNextCount(1)
                .thenCancel()
                .verify();

        chunks.assertCancelled();
        assertThat(later).hasValue(0);
    }

    @Test
    @DisplayName("while a Mono is awaited cancels it at once, and nothing runs afterwards")
    void midMono() {
        PublisherProbe<Map<String, ?>> never = PublisherProbe.of(Mono.never());
        CompiledGraph graph = before((state, run) -> NodeResult.deferred(never.mono()));

        StepVerifier.create(graph.stream(Map.of())).thenAwait().thenCancel().verify();

        never.assertWasSubscribed();
        never.assertWasCancelled();
        assertThat(later).hasValue(0);
    }

    @Test
    @DisplayName("while a node blocks interrupts it, and nothing runs afterwards")
    void midBlocking() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch interrupted = new CountDownLatch(1);
        CompiledGraph graph = before((state, run) -> NodeResult.blocking(() -> {
            begun.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException expected) {
                interrupted.countDown();
            }
            return Map.of();
        }));

        Disposable run = graph.invoke(Map.of()).subscribe();
        assertThat(begun.await(30, TimeUnit.SECONDS)).isTrue();
        run.dispose();

        assertThat(interrupted.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(later).hasValue(0);
    }

    @Test
    @DisplayName("between two nodes runs no other")
    void betweenNodes() {
        CompiledGraph graph = before((state, run) -> NodeResult.none());

        StepVerifier.create(graph.stream(Map.of()).take(1)).expectNextCount(1).verifyComplete();
        StepVerifier.create(graph.stream(Map.of()), 1)
                .expectNextCount(1)
                .thenCancel()
                .verify();

        assertThat(later).hasValue(0);
    }

    @Test
    @DisplayName("before anything was asked for runs nothing")
    void beforeDemand() {
        AtomicInteger begun = new AtomicInteger();
        CompiledGraph graph = before((state, run) -> {
            begun.incrementAndGet();
            return NodeResult.none();
        });

        StepVerifier.create(graph.stream(Map.of()), 0).thenCancel().verify();

        assertThat(begun).hasValue(0);
    }

    private static NodeAction asks(ScriptedModel model) {
        return new LlmNode(model, state -> new Prompt("Spell."), "answer");
    }

    private RunUsage cancelledAfter(ScriptedModel model, int outputs) {
        RunScope run = RunScope.start();
        StepVerifier.create(run.wrap(before(asks(model)).stream(Map.of())), outputs)
                .expectNextCount(outputs)
                .thenCancel()
                .verify();
        return run.usage();
    }

    @Test
    @DisplayName("T7: keeps the running figure that it had, graded as partial, and cancels the model")
    void keepsRunningFigure() {
        PublisherProbe<ChatResponse> answer = PublisherProbe.of(
                Flux.fromIterable(Turn.says(100, 8, "a", "b", "c").chunks("id", UsageAt.EVERY_CHUNK))
                        .take(2)
                        .concatWith(Flux.never()));
        RunUsage usage = cancelledAfter(ScriptedModel.of(Turn.says(100, 8)).over(chunks -> answer.flux()), 2);

        answer.assertWasCancelled();
        assertThat(usage.requests()).singleElement().satisfies(request -> {
            assertThat(request.usage()).isEqualTo(TokenUsage.of(100, 4));
            assertThat(request.source()).isEqualTo(UsageSource.PARTIAL);
            assertThat(request.outcome()).isEqualTo(RequestOutcome.CANCELLED);
            assertThat(request.node()).isEqualTo("node");
        });
        assertThat(usage.isComplete()).isFalse();
    }

    @Test
    @DisplayName("T7: books a request whose usage had not come yet as missing, never as nothing")
    void missing() {
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 8, "a", "b", "c"))
                .with(UsageAt.USAGE_ONLY_CHUNK)
                .over(chunks -> chunks.take(2).concatWith(Flux.never()));

        assertThat(cancelledAfter(model, 1).requests())
                .extracting(RequestUsage::source, RequestUsage::outcome)
                .containsExactly(tuple(UsageSource.MISSING, RequestOutcome.CANCELLED));
    }

    @Test
    @DisplayName("by a consumer that is slower than the model keeps the figure of the whole answer, once")
    void slowConsumer() {
        for (UsageAt usageAt : UsageAt.values()) {
            ScriptedModel model =
                    ScriptedModel.of(Turn.says(100, 8, "a", "b", "c")).with(usageAt);

            RunUsage usage = cancelledAfter(model, 1);

            assertThat(usage.requests()).as(usageAt.name()).hasSize(1);
            assertThat(usage.total()).as(usageAt.name()).isEqualTo(TokenUsage.of(100, 8));
        }
    }

    @Test
    @DisplayName("by a consumer that is slower than the model counts once where responses have no id")
    void slowConsumerWithoutIds() {
        for (UsageAt usageAt : UsageAt.values()) {
            ScriptedModel model = ScriptedModel.of(Turn.says(100, 8, "a", "b", "c"))
                    .with(usageAt)
                    .withoutIds();

            RunUsage usage = cancelledAfter(model, 1);

            assertThat(usage.requests()).as(usageAt.name()).hasSize(1);
            assertThat(usage.total()).as(usageAt.name()).isEqualTo(TokenUsage.of(100, 8));
        }
    }

    @Test
    @DisplayName("may be run again, from the start")
    void again() {
        CompiledGraph graph =
                before((state, run) -> NodeResult.chunks(Flux.just("a", "b"), () -> ChunkJoiner.text("t")));

        for (int outputs = 1; outputs < 5; outputs++) {
            List<NodeOutput> seen =
                    graph.stream(Map.of()).take(outputs).collectList().block();
            assertThat(seen).hasSize(outputs);
        }
        assertThat(later).hasValue(1);
        assertThat(graph.invoke(Map.of()).block().state().value("t")).contains("ab");
    }
}
