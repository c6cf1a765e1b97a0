package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Allocation;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

@DisplayName("a node")
@Timeout(60)
class NodeKindsTest {

    private static CompiledGraph node(NodeAction action) {
        return Graphs.single(action).compile();
    }

    private static void assertIsNode(UsageScope scope) {
        assertThat(scope).isNotNull();
        RunScope run = scope.runScope();
        assertThat(run.node()).isEqualTo("node");
        assertThat(run.round()).isEqualTo(1);
    }

    @Test
    @DisplayName("gives a value on the subscriber's thread, in its scope, and leaves none behind")
    void value() {
        AtomicReference<UsageScope> scope = new AtomicReference<>();
        AtomicReference<Thread> thread = new AtomicReference<>();
        NodeOutput end = node((state, run) -> {
                    scope.set(UsageScope.current());
                    thread.set(Thread.currentThread());
                    return NodeResult.update(
                            "a", state.value("in", String.class).orElseThrow() + "!");
                })
                .invoke(Map.of("in", "hello"))
                .block();

        assertThat(end.state().values()).containsOnly(Map.entry("in", "hello"), Map.entry("a", "hello!"));
        assertThat(thread).hasValue(Thread.currentThread());
        assertIsNode(scope.get());
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("that throws leaves no scope behind on the thread")
    void valueThrows() {
        StepVerifier.create(node((state, run) -> {
                            throw new IllegalStateException("no");
                        })
                        .stream(Map.of()))
                .verifyError(NodeFailedException.class);

        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("gives what its Mono gives, subscribed to in its scope")
    void mono() {
        AtomicReference<UsageScope> scope = new AtomicReference<>();
        Mono<Map<String, ?>> update = Mono.deferContextual(context -> {
            scope.set(UsageScope.current(context));
            return Mono.just(Map.of("a", 1));
        });

        NodeOutput end = node((state, run) -> NodeResult.deferred(update.subscribeOn(Schedulers.parallel())))
                .invoke(Map.of())
                .block();

        assertThat(end.state().value("a")).contains(1);
        assertIsNode(scope.get());
    }

    @Test
    @DisplayName("whose Mono is empty finishes all the same, and changes nothing")
    void emptyMono() {
        StepVerifier.create(node((state, run) -> NodeResult.deferred(Mono.empty())).stream(Map.of("a", 1)))
                .assertNext(output -> {
                    assertThat(output.node()).isEqualTo("node");
                    assertThat(output.state().values()).containsOnly(Map.entry("a", 1));
                })
                .assertNext(output -> assertThat(output.isEnd()).isTrue())
                .verifyComplete();
    }

    @Test
    @DisplayName("that blocks does so on another thread, where blocking is allowed, in its scope")
    void blocking() {
        AtomicReference<UsageScope> scope = new AtomicReference<>();
        AtomicReference<Thread> thread = new AtomicReference<>();
        NodeOutput end = node((state, run) -> NodeResult.blocking(() -> {
                    scope.set(UsageScope.current());
                    thread.set(Thread.currentThread());
                    assertThat(Schedulers.isInNonBlockingThread()).isFalse();
                    return Map.of("a", Mono.just(1).block());
                }))
                .invoke(Map.of())
                .subscribeOn(Schedulers.parallel())
                .block();

        assertThat(end.state().value("a")).contains(1);
        assertThat(thread.get()).isNotSameAs(Thread.currentThread());
        assertThat(thread.get().getName()).startsWith("boundedElastic");
        assertIsNode(scope.get());
    }

    @Test
    @DisplayName("that blocks leaves no scope behind on its thread")
    void blockingLeavesNothing() {
        AtomicReference<UsageScope> after = new AtomicReference<>();
        node((state, run) -> NodeResult.blocking(Map::of)).stream(Map.of())
                .doOnNext(output -> after.set(UsageScope.current()))
                .blockLast();

        assertThat(after).hasNullValue();
    }

    @Test
    @DisplayName("that streams gives an output for each chunk with its text, then one that is complete")
    void chunks() {
        StepVerifier.create(node((state, run) ->
                                NodeResult.chunks(Flux.just("Hello", ", ", "world"), () -> ChunkJoiner.text("text")))
                        .stream(Map.of("in", 1)))
                .assertNext(output -> {
                    StreamingOutput chunk = (StreamingOutput) output;
                    assertThat(chunk.text()).isEqualTo("Hello");
                    assertThat(chunk.chunk()).isEqualTo("Hello");
                    assertThat(chunk.node()).isEqualTo("node");
                    assertThat(chunk.isComplete()).isFalse();
                    assertThat(chunk.tokenUsage()).isNull();
                    assertThat(chunk.state().values()).containsOnlyKeys("in");
                })
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo(", "))
                .assertNext(
                        output -> assertThat(((StreamingOutput) output).text()).isEqualTo("world"))
                .assertNext(output -> {
                    StreamingOutput complete = (StreamingOutput) output;
                    assertThat(complete.isComplete()).isTrue();
                    assertThat(complete.chunk()).isNull();
                    assertThat(complete.text()).isEmpty();
                    assertThat(complete.state().value("text")).contains("Hello, world");
                })
                .assertNext(output -> {
                    assertThat(output).isNotInstanceOf(StreamingOutput.class);
                    assertThat(output.isEnd()).isTrue();
                })
                .verifyComplete();
    }

    @Test
    @DisplayName("that streams nothing at all completes with an empty text")
    void noChunks() {
        StepVerifier.create(
                        node((state, run) -> NodeResult.chunks(Flux.<String>empty(), () -> ChunkJoiner.text("t")))
                                .stream(Map.of()))
                .assertNext(output -> {
                    assertThat(((StreamingOutput) output).isComplete()).isTrue();
                    assertThat(output.state().value("t")).contains("");
                })
                .assertNext(output -> assertThat(output.isEnd()).isTrue())
                .verifyComplete();
    }

    @Test
    @DisplayName("streams chunks of a type of the app's own through a joiner of its own")
    void ownChunks() {
        ChunkJoiner<Integer> sum = new ChunkJoiner<>() {
            private int total;

            @Override
            public String add(Integer chunk) {
                total += chunk;
                return "+" + chunk;
            }

            @Override
            public Map<String, ?> update() {
                return Map.of("total", total);
            }
        };

        List<NodeOutput> outputs = node((state, run) -> NodeResult.chunks(Flux.range(1, 4), () -> sum)).stream(Map.of())
                .collectList()
                .block();

        assertThat(outputs.subList(0, 4))
                .extracting(output -> ((StreamingOutput) output).text())
                .containsExactly("+1", "+2", "+3", "+4");
        assertThat(outputs.get(4).state().value("total")).contains(10);
    }

    @Test
    @DisplayName("joins the chunks of each execution on its own")
    void joinerPerExecution() {
        AtomicInteger joiners = new AtomicInteger();
        CompiledGraph graph = node((state, run) -> NodeResult.chunks(Flux.just("a", "b"), () -> {
            joiners.incrementAndGet();
            return ChunkJoiner.text("t");
        }));

        for (int i = 0; i < 3; i++) {
            assertThat(graph.invoke(Map.of()).block().state().value("t")).contains("ab");
        }
        assertThat(joiners).hasValue(3);
    }

    @Test
    @DisplayName("joins the text of a long stream in the same memory per chunk as that of a short one")
    void linearText() {
        drain(2_000);

        long small = Allocation.of(() -> drain(5_000)) / 5_000;
        long large = Allocation.of(() -> drain(100_000)) / 100_000;

        // Spring AI Alibaba 1.1.2.2 allocates 14 KB per chunk of 5,000, and 102 KB per chunk of 40,000.
        assertThat(large).isLessThan(2 * small).isLessThan(1_500);
    }

    private static void drain(int chunks) {
        node((state, run) ->
                        NodeResult.chunks(Flux.range(0, chunks).map(i -> "seven!!"), () -> ChunkJoiner.text("text")))
                .stream(Map.of())
                .blockLast();
    }

    @Test
    @DisplayName("sees the run it is in: its graph, its id, its mode and its state")
    void context() {
        List<String> seen = new ArrayList<>();
        CompiledGraph graph = node((state, run) -> {
            assertThat(run.state()).isSameAs(state);
            seen.add(run.graph() + " " + run.isStreaming());
            return NodeResult.update("id", run.runId());
        });
        RunScope outer = RunScope.start("run-7");

        outer.wrap(graph.stream(Map.of())).blockLast();
        NodeOutput end = outer.wrap(graph.invoke(Map.of())).block();

        assertThat(seen).containsExactly("single true", "single false");
        assertThat(end.state().value("id")).contains("run-7");
    }

    @Test
    @DisplayName("sees the Reactor context that the subscriber wrote")
    void userContext() {
        CompiledGraph graph = node((state, run) ->
                NodeResult.deferred(Mono.deferContextual(context -> Mono.just(Map.of("user", context.get("user"))))));

        NodeOutput end = graph.invoke(Map.of())
                .contextWrite(context -> context.put("user", "Li"))
                .block();

        assertThat(end.state().value("user")).contains("Li");
    }
}
