package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

@DisplayName("the usage of a node")
@Timeout(60)
class NodeUsageTest {

    private static final String KEY = GraphRunnerContext.TOKEN_USAGE;

    private static Map<String, Object> withDelta(Object delta) {
        Map<String, Object> update = new HashMap<>(Map.of("done", true));
        update.put(KEY, delta);
        return update;
    }

    private static NodeAction says(Object delta) {
        return (state, run) -> NodeResult.update(withDelta(delta));
    }

    private static List<NodeOutput> completed(Flux<NodeOutput> run) {
        return run.filter(output -> !(output instanceof StreamingOutput chunk) || chunk.isComplete())
                .collectList()
                .block();
    }

    @ParameterizedTest
    @EnumSource(UsageAt.class)
    @DisplayName("T11: streamed, is its own and no total; the run's total goes on beside it")
    void streamed(UsageAt usageAt) {
        ScriptedModel model = ScriptedModel.threeRounds("any").with(usageAt);

        List<NodeOutput> outputs = completed(Graphs.loop(model, 3).stream(Map.of()));

        assertThat(outputs)
                .extracting(NodeOutput::tokenUsage)
                .containsExactly(TokenUsage.of(5000, 2000), TokenUsage.of(8000, 3000), TokenUsage.of(6000, 2500), null);
        assertThat(outputs)
                .extracting(output -> output.runUsage().total())
                .containsExactly(
                        TokenUsage.of(5000, 2000),
                        TokenUsage.of(13000, 5000),
                        TokenUsage.of(19000, 7500),
                        TokenUsage.of(19000, 7500));
        assertThat(outputs.get(3).runUsage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("T11: of blocking calls is its own and no total too")
    void called() {
        NodeOutput end = Graphs.loop(ScriptedModel.threeRounds("any"), 3)
                .invoke(Map.of())
                .block();

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(19000, 7500));
        assertThat(end.runUsage().requests())
                .extracting(RequestUsage::usage)
                .containsExactly(TokenUsage.of(5000, 2000), TokenUsage.of(8000, 3000), TokenUsage.of(6000, 2500));
        assertThat(end.runUsage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("is not on its chunks, which would be added up by somebody; a chunk has the run's total so far")
    void chunksHaveNone() {
        ScriptedModel model = ScriptedModel.threeRounds("any").with(UsageAt.EVERY_CHUNK);

        List<NodeOutput> chunks = Graphs.loop(model, 2).stream(Map.of())
                .filter(output -> output instanceof StreamingOutput chunk && !chunk.isComplete())
                .collectList()
                .block();

        assertThat(chunks).hasSize(6).allSatisfy(chunk -> {
            assertThat(chunk.tokenUsage()).isNull();
            assertThat(chunk.nodeUsage()).isEqualTo(RunUsage.EMPTY);
        });
        assertThat(chunks.subList(3, 6))
                .allSatisfy(chunk -> assertThat(chunk.runUsage().requests()).isNotEmpty());
    }

    @Test
    @DisplayName("is read from a plain flux of responses that a node returns, once")
    void plainFlux() {
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 8, "a", "b")).with(UsageAt.TWO_CHUNKS);
        NodeAction plain = (state, run) -> NodeResult.chunks(model.stream(new Prompt("Hi")), Texts::new);

        NodeOutput end = Graphs.pair(plain, plain).compile().stream(Map.of()).blockLast();

        assertThat(end.runUsage().requests()).extracting(RequestUsage::node).containsExactly("first", "second");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 16));
    }

    /** Joins nothing, and so would lose the usage if it were read behind it. */
    private static final class Texts implements ChunkJoiner<ChatResponse> {

        @Override
        public String add(ChatResponse chunk) {
            return "";
        }

        @Override
        public Map<String, ?> update() {
            return Map.of();
        }
    }

    @Test
    @DisplayName("that a node says itself counts, as a Usage of Spring AI's")
    void saidAsUsage() {
        List<NodeOutput> outputs = completed(
                Graphs.pair(says(new DefaultUsage(100, 8)), says(new DefaultUsage(7, 1))).compile().stream(Map.of()));

        assertThat(outputs)
                .extracting(NodeOutput::tokenUsage)
                .containsExactly(TokenUsage.of(100, 8), TokenUsage.of(7, 1), null);
        assertThat(outputs.get(2).runUsage().total()).isEqualTo(TokenUsage.of(107, 9));
        assertThat(outputs.get(2).runUsage().byNode()).containsOnlyKeys("first", "second");
        assertThat(outputs.get(2).runUsage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("that a node says itself counts with its parts, as a TokenUsage")
    void saidAsTokenUsage() {
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(100)
                .outputTokens(8)
                .part(TokenPart.REASONING_OUTPUT, 5)
                .build();

        NodeOutput end = Graphs.single(says(usage)).compile().invoke(Map.of()).block();

        assertThat(end.runUsage().total()).isEqualTo(usage);
    }

    @Test
    @DisplayName("that a node says itself counts request by request, as a RunUsage")
    void saidAsRunUsage() {
        RunScope elsewhere = RunScope.start();
        UsageRecorder.withSinks().book(elsewhere, request("r-1", 100));
        UsageRecorder.withSinks().book(elsewhere, request("r-2", 200));

        NodeOutput end = Graphs.single(says(elsewhere.usage()))
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(end.runUsage().requests())
                .extracting(RequestUsage::requestId)
                .containsExactly("r-1", "r-2");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(300, 2));
    }

    private static RequestUsage request(String id, long input) {
        return RequestUsage.builder(id, Instant.EPOCH)
                .usage(TokenUsage.of(input, 1), UsageSource.REPORTED)
                .build();
    }

    @Test
    @DisplayName("that two nodes say with the same RunUsage counts once in the run, and in each of them")
    void saidTwice() {
        RunScope elsewhere = RunScope.start();
        UsageRecorder.withSinks().book(elsewhere, request("r-1", 100));

        List<NodeOutput> outputs =
                completed(Graphs.pair(says(elsewhere.usage()), says(elsewhere.usage())).compile().stream(Map.of()));

        assertThat(outputs)
                .extracting(NodeOutput::tokenUsage)
                .containsExactly(TokenUsage.of(100, 1), TokenUsage.of(100, 1), null);
        assertThat(outputs.get(2).runUsage().total()).isEqualTo(TokenUsage.of(100, 1));
    }

    @Test
    @DisplayName("that a node says itself does not count again when its requests were captured")
    void saidAndCaptured() {
        ScriptedModel model = ScriptedModel.of(Turn.says(100, 8, "a"));
        NodeAction both = (state, run) -> NodeResult.blocking(() -> {
            ChatResponse answer = run.capture(model).call(new Prompt("Hi"));
            return withDelta(answer.getMetadata().getUsage());
        });

        NodeOutput end = Graphs.pair(both, both).compile().invoke(Map.of()).block();

        assertThat(end.runUsage().sum().requests()).isEqualTo(2);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 16));
        assertThat(end.state().values()).containsOnlyKeys("done");
    }

    @Test
    @DisplayName("that holds no figure is a request whose figure is missing, and none at all is no request")
    void saidNothing() {
        List<NodeOutput> outputs =
                completed(Graphs.pair(says(new EmptyUsage()), says(null)).compile().stream(Map.of()));

        assertThat(outputs).extracting(NodeOutput::tokenUsage).containsOnlyNulls();
        RunUsage usage = outputs.get(outputs.size() - 1).runUsage();
        assertThat(usage.sum().requests()).isEqualTo(1);
        assertThat(usage.sum().missing()).isEqualTo(1);
        assertThat(usage.isComplete()).isFalse();
    }

    @Test
    @DisplayName("never reaches the state, whichever way the node gives its update")
    void neverInState() {
        Map<String, Object> update = withDelta(new DefaultUsage(100, 8));
        ChunkJoiner<String> joiner = new ChunkJoiner<>() {
            @Override
            public String add(String chunk) {
                return chunk;
            }

            @Override
            public Map<String, ?> update() {
                return update;
            }
        };
        List<NodeAction> ways = List.of(
                (state, run) -> NodeResult.update(update),
                (state, run) -> NodeResult.deferred(Mono.just(update)),
                (state, run) -> NodeResult.blocking(() -> update),
                (state, run) -> NodeResult.chunks(Flux.just("a"), () -> joiner));

        for (NodeAction way : ways) {
            List<NodeOutput> outputs =
                    Graphs.single(way).compile().stream(Map.of()).collectList().block();

            assertThat(outputs)
                    .allSatisfy(output -> assertThat(output.state().values()).doesNotContainKey(KEY));
            assertThat(outputs.get(outputs.size() - 1).state().values()).containsOnlyKeys("done");
            assertThat(outputs.get(outputs.size() - 1).runUsage().total()).isEqualTo(TokenUsage.of(100, 8));
        }
        assertThat(update).as("the node's own map stays as it is").containsKey(KEY);
    }

    @Test
    @DisplayName("captured by the run never reaches the state either")
    void capturedNeverInState() {
        assertThat(completed(Graphs.loop(ScriptedModel.threeRounds("any"), 3).stream(Map.of())))
                .allSatisfy(output -> assertThat(output.state().values()).containsOnlyKeys(Graphs.ANSWERS));
    }

    @Test
    @DisplayName("of a wrong type is a clear error")
    void wrongType() {
        StepVerifier.create(Graphs.single(says(42)).compile().stream(Map.of()))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .isInstanceOf(NodeFailedException.class)
                        .hasMessage("graph \"single\": node \"node\" failed: java.lang.IllegalArgumentException:"
                                + " _TOKEN_USAGE_ must be a RunUsage or a Usage, but is a java.lang.Integer"));
    }

    @Test
    @DisplayName("is in the context's total as soon as it is booked, and a later node sees it")
    void contextTotal() {
        List<TokenUsage> seen = new ArrayList<>();
        NodeAction looks = (state, run) -> {
            seen.add(run.getTokenUsage());
            assertThat(run.usage().total()).isEqualTo(run.getTokenUsage());
            return asks(ScriptedModel.of(Turn.says(100, 8, "a"))).apply(GraphState.EMPTY, run);
        };

        NodeOutput end = Graphs.pair(looks, looks).compile().stream(Map.of()).blockLast();

        assertThat(seen).containsExactly(TokenUsage.ZERO, TokenUsage.of(100, 8));
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 16));
    }

    @Test
    @DisplayName("is booked to the recorder that the graph was compiled with, once per request")
    void recorder() {
        List<RequestUsage> sink = new ArrayList<>();
        UsageRecorder recorder = UsageRecorder.withSinks(sink::add);
        CompiledGraph graph = Graphs.pair(
                        asks(ScriptedModel.of(Turn.says(100, 8, "a", "b"), Turn.says(50, 4, "c"))),
                        says(new DefaultUsage(7, 1)))
                .compile(CompileConfig.DEFAULT.withRecorder(recorder));

        graph.stream(Map.of()).blockLast();
        graph.invoke(Map.of()).block();

        assertThat(sink)
                .extracting(RequestUsage::usage)
                .containsExactly(
                        TokenUsage.of(100, 8), TokenUsage.of(7, 1), TokenUsage.of(100, 8), TokenUsage.of(7, 1));
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("T21: prints without the state, which may hold prompts")
    void printsNoState() {
        NodeOutput end = Graphs.single(says(new DefaultUsage(7, 1)))
                .compile()
                .invoke(Map.of("question", "my secret"))
                .block();

        assertThat(end.toString())
                .contains("node=__END__", "total=TokenUsage[input_tokens=7")
                .doesNotContain("secret");
    }
}
