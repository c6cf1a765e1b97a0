package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.scripted.FailingModel;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;
import reactor.util.retry.Retry;

@DisplayName("a node with a fallback")
@Timeout(60)
class NodeFallbackTest {

    private static final String LOG = "log";

    private static StateGraph single(NodeAction action, NodeConfig config) {
        return edges(
                new StateGraph("single")
                        .keyStrategy(LOG, KeyStrategy.APPEND)
                        .keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND)
                        .addNode("node", action, config),
                "start > node",
                "node > end");
    }

    private static ScriptedModel answering(int input) {
        return ScriptedModel.of(Turn.says(input, 8, "a", "b")).with(UsageAt.EVERY_CHUNK);
    }

    @Test
    @DisplayName("runs it once it has failed as often as its retry says, and counts all attempts as its own")
    void afterRetries() {
        FailingModel model = FailingModel.of(answering(100), 9);
        CompiledGraph graph = single(
                        asks(model),
                        NodeConfig.DEFAULT
                                .withRetry(Retry.max(1))
                                .withFallback((state, run) -> NodeResult.update(Graphs.ANSWERS, "instead")))
                .compile();

        List<NodeOutput> outputs = graph.stream(Map.of()).collectList().block();

        assertThat(outputs).extracting(NodeOutput::attempt).containsExactly(1, 2, 3, 1);
        assertThat(outputs.get(2).state().<Object>list(Graphs.ANSWERS)).containsExactly("instead");
        assertThat(outputs.get(2).nodeUsage().requests())
                .extracting(RequestUsage::attempt, RequestUsage::source)
                .containsExactly(tuple(1, UsageSource.PARTIAL), tuple(2, UsageSource.PARTIAL));
        assertThat(outputs.get(3).runUsage().total()).isEqualTo(TokenUsage.of(200, 4));
    }

    @Test
    @DisplayName("does not run it if it completes")
    void completes() {
        NodeOutput end = single(
                        (state, run) -> NodeResult.update(LOG, "node"),
                        NodeConfig.DEFAULT.withFallback((state, run) -> NodeResult.update(LOG, "fallback")))
                .compile()
                .invoke(Map.of())
                .block();

        assertThat(end.state().<Object>list(LOG)).containsExactly("node");
    }

    @Test
    @DisplayName("runs the next one where it fails too, each with the node's retry and timeout")
    void several() {
        FailingModel second = FailingModel.of(answering(20), 1);
        CompiledGraph graph = single(
                        (state, run) -> NodeResult.deferred(Mono.never()),
                        NodeConfig.DEFAULT
                                .withTimeout(Duration.ofMinutes(1))
                                .withRetry(Retry.max(1))
                                .withFallback((state, run) -> NodeResult.deferred(Mono.never()))
                                .withFallback(asks(second)))
                .compile();

        StepVerifier.withVirtualTime(() -> graph.stream(Map.of()).last())
                .thenAwait(Duration.ofMinutes(4))
                .assertNext(end -> {
                    assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
                    assertThat(end.runUsage().requests())
                            .extracting(RequestUsage::attempt)
                            .containsExactly(5, 6);
                })
                .verifyComplete();
    }

    @Test
    @DisplayName("fails as the last of them did, and tells of those before")
    void allFail() {
        CompiledGraph graph = single(
                        failing("node"),
                        NodeConfig.DEFAULT
                                .withRetry(Retry.max(1))
                                .withFallback(failing("first"))
                                .withFallback(failing("second")))
                .compile();

        NodeFailedException failure = catchThrowableOfType(
                NodeFailedException.class, () -> graph.invoke(Map.of()).block());

        assertThat(failure)
                .hasMessage("graph \"single\": node \"node\" failed: java.lang.IllegalStateException: second");
        assertThat(failure.getCause()).hasMessage("second");
        assertThat(Arrays.stream(failure.getSuppressed()).map(Throwable::getMessage))
                .startsWith("node", "first");
    }

    private static NodeAction failing(String message) {
        return (state, run) -> {
            throw new IllegalStateException(message);
        };
    }

    @Test
    @DisplayName("may go on with it when a limit has refused what it asked for; a model in it is refused too")
    void refused() {
        CompileConfig limited = CompileConfig.DEFAULT.withLimits(UsageLimits.NONE.withRequests(1));
        NodeConfig toText = NodeConfig.DEFAULT.withFallback((state, run) -> NodeResult.update(LOG, "no more"));
        ScriptedModel other = answering(7);
        NodeAction twice = (state, run) -> NodeResult.deferred(run.capture(answering(100)).stream(new Prompt("a"))
                .thenMany(run.capture(answering(100)).stream(new Prompt("b")))
                .then(Mono.just(Map.of(LOG, "both"))));

        NodeOutput end = single(twice, toText).compile(limited).invoke(Map.of()).block();

        assertThat(end.state().<Object>list(LOG)).containsExactly("no more");
        assertThat(end.runUsage().requests()).hasSize(1);
        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> single(twice, NodeConfig.DEFAULT.withFallback(asks(other)))
                        .compile(limited)
                        .invoke(Map.of())
                        .block());
        assertThat(other.prompts()).isEmpty();
    }

    @Test
    @DisplayName("that asks another model counts each request once, under the model that answered")
    void otherModel() {
        LlmNode ask = new LlmNode(
                FailingModel.of(answering(100), 1),
                state -> new Prompt(state.<Message>list(Graphs.ANSWERS)),
                Graphs.ANSWERS);

        NodeOutput end = single(ask, NodeConfig.DEFAULT.withFallback(ask.asking(answering(20)))).compile().stream(
                        Map.of())
                .blockLast();

        assertThat(end.state().list(Graphs.ANSWERS)).hasSize(1);
        assertThat(end.runUsage().requests())
                .extracting(RequestUsage::attempt, RequestUsage::usage)
                .containsExactly(tuple(1, TokenUsage.of(100, 2)), tuple(2, TokenUsage.of(20, 8)));
    }

    @Test
    @DisplayName("refuses none, and a graph as one that merges the shared state in another way")
    void refuses() {
        CompiledGraph inner = Graphs.single((state, run) -> NodeResult.none())
                .keyStrategy("list", KeyStrategy.APPEND)
                .compile();

        assertThatNullPointerException()
                .isThrownBy(() -> NodeConfig.DEFAULT.withFallback(null))
                .withMessage("fallback");
        assertThatExceptionOfType(GraphDefinitionException.class)
                .isThrownBy(
                        () -> single((state, run) -> NodeResult.none(), NodeConfig.DEFAULT.withFallback(inner.asNode()))
                                .compile())
                .withMessage(
                        "graph \"single\": node \"node\" shares the state with graph \"single\", which merges the key \"list\" in another way: give both the same KeyStrategy");
    }
}
