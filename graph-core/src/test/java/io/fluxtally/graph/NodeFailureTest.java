package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.reactivestreams.Publisher;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

@DisplayName("a node that fails")
@Timeout(60)
class NodeFailureTest {

    private static final IOException BROKEN = new IOException("line is dead");

    private static NodeFailedException failureOf(Publisher<NodeOutput> run) {
        AtomicReference<NodeFailedException> failure = new AtomicReference<>();
        StepVerifier.create(run).thenConsumeWhile(output -> true).verifyErrorSatisfies(error -> {
            assertThat(error).isExactlyInstanceOf(NodeFailedException.class);
            failure.set((NodeFailedException) error);
        });
        return failure.get();
    }

    static Stream<Arguments> failingNodes() {
        return Stream.of(
                Arguments.of("a Mono", node((state, run) -> NodeResult.deferred(Mono.error(BROKEN)))),
                Arguments.of(
                        "blocking work",
                        node((state, run) -> NodeResult.blocking(() -> {
                            throw BROKEN;
                        }))),
                Arguments.of(
                        "a stream",
                        node((state, run) -> NodeResult.chunks(
                                Flux.just("a").concatWith(Flux.error(BROKEN)), () -> ChunkJoiner.text("t")))));
    }

    private static NodeAction node(NodeAction action) {
        return action;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("failingNodes")
    @DisplayName("by what it returns ends the run with an error that names graph, node and cause")
    void names(String kind, NodeAction action) {
        CompiledGraph graph = Graphs.single(action).compile();

        for (Publisher<NodeOutput> run :
                List.<Publisher<NodeOutput>>of(graph.stream(Map.of()), graph.invoke(Map.of()))) {
            assertThat(failureOf(run))
                    .hasMessage("graph \"single\": node \"node\" failed: java.io.IOException: line is dead")
                    .hasCause(BROKEN)
                    .satisfies(failure -> {
                        assertThat(failure.graph()).isEqualTo("single");
                        assertThat(failure.node()).isEqualTo("node");
                        assertThat(failure.usage()).isEqualTo(RunUsage.EMPTY);
                    });
        }
    }

    @Test
    @DisplayName("by throwing ends the run the same way")
    void throwing() {
        IllegalStateException thrown = new IllegalStateException("no map");

        assertThat(failureOf(Graphs.single((state, run) -> {
                            throw thrown;
                        })
                        .compile()
                        .stream(Map.of())))
                .hasMessage("graph \"single\": node \"node\" failed: java.lang.IllegalStateException: no map")
                .hasCause(thrown);
    }

    @Test
    @DisplayName("by giving null instead of a result is told so")
    void nullResult() {
        assertThat(failureOf(Graphs.single((state, run) -> null).compile().stream(Map.of())))
                .hasRootCauseMessage("a node's result must not be null");
    }

    @Test
    @DisplayName("in its joiner or in a key strategy ends the run the same way")
    void joinerAndStrategy() {
        ChunkJoiner<String> joiner = new ChunkJoiner<>() {
            @Override
            public String add(String chunk) {
                return chunk;
            }

            @Override
            public Map<String, ?> update() {
                throw new IllegalStateException("cannot join");
            }
        };
        assertThat(failureOf(
                        Graphs.single((state, run) -> NodeResult.chunks(Flux.just("a"), () -> joiner)).compile().stream(
                                Map.of())))
                .hasRootCauseMessage("cannot join");
        assertThat(failureOf(Graphs.single((state, run) -> NodeResult.update("a", 1))
                        .keyStrategy("a", (current, update) -> {
                            throw new IllegalStateException("cannot merge");
                        })
                        .compile()
                        .stream(Map.of())))
                .hasRootCauseMessage("cannot merge");
    }

    @Test
    @DisplayName("leaves in the error what the run had used before it, in stream and in invoke")
    void usageBefore() {
        CompiledGraph graph = Graphs.pair(asks(ScriptedModel.of(Turn.says(700, 30, "Yes."))), (state, run) -> {
                    throw new IllegalStateException("no");
                })
                .compile();

        for (Publisher<NodeOutput> run :
                List.<Publisher<NodeOutput>>of(graph.stream(Map.of()), graph.invoke(Map.of()))) {
            NodeFailedException failure = failureOf(run);
            assertThat(failure.node()).isEqualTo("second");
            assertThat(failure.usage().total()).isEqualTo(TokenUsage.of(700, 30));
            assertThat(failure.usage().isComplete()).isTrue();
        }
    }

    @Test
    @DisplayName("T7: in the middle of an answer leaves the running figure in the error, graded as partial")
    void midStream() {
        Turn cut = Turn.says(8000, 3000, "a", "b", "c");
        ScriptedModel model = ScriptedModel.of(Turn.says(5000, 2000, "Well."), cut)
                .with(UsageAt.EVERY_CHUNK)
                .over(chunks -> chunks.index()
                        .concatMap(chunk -> chunk.getT1() == 1 ? Flux.error(BROKEN) : Flux.just(chunk.getT2())));

        NodeFailedException failure = failureOf(Graphs.pair(asks(model), asks(model)).compile().stream(Map.of()));

        assertThat(failure.getCause()).isSameAs(BROKEN);
        assertThat(failure.usage().total()).isEqualTo(TokenUsage.of(13000, 2750));
        assertThat(failure.usage().isComplete()).isFalse();
        assertThat(failure.usage().requests())
                .satisfiesExactly(first -> assertThat(first.source()).isEqualTo(UsageSource.REPORTED), second -> {
                    assertThat(second.source()).isEqualTo(UsageSource.PARTIAL);
                    assertThat(second.outcome()).isEqualTo(RequestOutcome.FAILED);
                    assertThat(second.usage()).isEqualTo(TokenUsage.of(8000, 750));
                    assertThat(second.node()).isEqualTo("second");
                });
    }

    @Test
    @DisplayName("T7: before any figure came leaves a request that is missing, in stream and in invoke")
    void beforeAnyFigure() {
        ChatModel model = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                throw new IllegalStateException("no answer");
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return Flux.error(new IllegalStateException("no answer"));
            }
        };
        CompiledGraph graph = Graphs.single(asks(model)).compile();
        Consumer<NodeFailedException> missing =
                failure -> assertThat(failure.usage().requests())
                        .singleElement()
                        .satisfies(request -> {
                            assertThat(request.source()).isEqualTo(UsageSource.MISSING);
                            assertThat(request.outcome()).isEqualTo(RequestOutcome.FAILED);
                        });

        assertThat(failureOf(graph.stream(Map.of()))).satisfies(missing);
        assertThat(failureOf(graph.invoke(Map.of()))).satisfies(missing);
    }

    @Test
    @DisplayName("T8: and is retried by its own publisher books each request that it made")
    void retriedInside() {
        AtomicReference<Integer> attempts = new AtomicReference<>(0);
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 8, "a", "b"))
                .with(UsageAt.EVERY_CHUNK)
                .over(chunks -> attempts.updateAndGet(count -> count + 1) < 3
                        ? chunks.take(1).concatWith(Flux.error(BROKEN))
                        : chunks);

        NodeOutput end = Graphs.single((state, run) -> NodeResult.deferred(
                        run.capture(model).stream(new Prompt("Hi")).retry(2).then(Mono.just(Map.of("done", true)))))
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(end.runUsage().requests())
                .extracting(request -> request.source())
                .containsExactly(UsageSource.PARTIAL, UsageSource.PARTIAL, UsageSource.REPORTED);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(300, 12));
    }

    @Test
    @DisplayName("makes the whole run a new one when the run is retried")
    void retriedRun() {
        AtomicReference<Integer> attempts = new AtomicReference<>(0);
        CompiledGraph graph = Graphs.pair(asks(ScriptedModel.of(Turn.says(100, 8, "a"))), (state, run) -> {
                    if (attempts.updateAndGet(count -> count + 1) < 3) {
                        throw new IllegalStateException("not yet");
                    }
                    return NodeResult.none();
                })
                .compile();

        NodeOutput end = graph.stream(Map.of()).retry(2).blockLast();

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(100, 8));
        assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
    }

    @Test
    @DisplayName("gives an error that survives Java serialization, without its usage")
    void serialized() throws Exception {
        NodeFailedException failure = failureOf(Graphs.single((state, run) -> {
                    throw new IllegalStateException("no map");
                })
                .compile()
                .invoke(Map.of()));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        new ObjectOutputStream(bytes).writeObject(failure);

        Object read = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())).readObject();

        assertThat(read).isInstanceOfSatisfying(NodeFailedException.class, copy -> {
            assertThat(copy).hasMessage(failure.getMessage());
            assertThat(copy.node()).isEqualTo("node");
            assertThat(copy.usage()).isEqualTo(RunUsage.EMPTY);
        });
    }
}
