package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.scripted.FailingModel;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;
import reactor.util.retry.Retry;

@DisplayName("an agent whose models fail")
@Timeout(60)
class FaultyModelsTest {

    private final Tool weather = Tool.of("get_weather", input -> "rain");

    private static ScriptedModel rounds(int input) {
        return ScriptedModel.of(Turn.asks(input, 30, "get_weather"), Turn.says(input + 1, 30, "It ", "will ", "rain."))
                .with(UsageAt.EVERY_CHUNK);
    }

    private ReactAgent.Builder agent(ChatModel model) {
        return ReactAgent.builder("weather").model(model).tools(weather);
    }

    private static NodeOutput end(ReactAgent agent, boolean streamed) {
        return streamed
                ? agent.stream("Rain?").blockLast()
                : agent.invoke("Rain?").block();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("asks the next model, and the first one again in the next round; each request is counted once")
    void fallback(boolean streamed) {
        FailingModel first = FailingModel.of(rounds(100), 1);
        ScriptedModel second = rounds(20);
        ScriptedModel third = rounds(7);

        NodeOutput end = end(agent(first).fallbackModels(second, third).build(), streamed);

        assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
        assertThat(end.state().list(ReactAgent.MESSAGES)).hasSize(4);
        assertThat(end.runUsage().requests())
                .extracting(
                        RequestUsage::round,
                        RequestUsage::attempt,
                        RequestUsage::source,
                        request -> request.usage() == null ? 0 : request.usage().inputTokens())
                .containsExactly(
                        tuple(1, 1, streamed ? UsageSource.PARTIAL : UsageSource.MISSING, streamed ? 100L : 0L),
                        tuple(1, 2, UsageSource.REPORTED, 20L),
                        tuple(2, 1, UsageSource.REPORTED, 101L));
        assertThat(first.asked()).isEqualTo(2);
        assertThat(third.prompts()).isEmpty();
        assertThat(weather.calls()).isEqualTo(1);
    }

    @Test
    @DisplayName("tells by the attempt which of its words are void")
    void attempts() {
        List<NodeOutput> outputs = agent(FailingModel.of(rounds(100), 3))
                .tools()
                .retry(Retry.max(1))
                .fallbackModels(FailingModel.of(rounds(20), 1))
                .build()
                .stream("Rain?")
                .collectList()
                .block();

        assertThat(outputs)
                .filteredOn(output -> output instanceof StreamingOutput)
                .extracting(NodeOutput::attempt, output -> ((StreamingOutput) output).text())
                .containsExactly(
                        tuple(1, "Let "),
                        tuple(2, "Let "),
                        tuple(3, "Let "),
                        tuple(4, "Let "),
                        tuple(4, "me "),
                        tuple(4, "see."),
                        tuple(4, ""));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("asks each as often as its retry says, and fails as the last one did with all that was used")
    void allFail(boolean streamed) {
        FailingModel first = FailingModel.of(rounds(100), 9);
        FailingModel second = FailingModel.of(rounds(20), 9);
        ReactAgent agent =
                agent(first).retry(Retry.max(2)).fallbackModels(second).build();

        NodeFailedException failure = catchThrowableOfType(NodeFailedException.class, () -> end(agent, streamed));

        assertThat(failure.node()).isEqualTo(ReactAgent.LLM_NODE);
        assertThat(failure).hasRootCauseMessage("failure 3");
        assertThat(failure.usage().requests()).hasSize(6);
        assertThat(first.asked()).isEqualTo(3);
        assertThat(second.asked()).isEqualTo(3);
        assertThat(weather.calls()).isZero();
    }

    @Test
    @DisplayName("asks the next model where one takes too long, and fails where no other is left")
    void timeout() {
        ScriptedModel hanging = rounds(100).over(chunks -> chunks.take(1).concatWith(Flux.never()));
        ReactAgent.Builder agent = agent(hanging).timeout(Duration.ofMinutes(1));

        StepVerifier.withVirtualTime(() -> agent.build().stream("Rain?"))
                .expectNextCount(1)
                .thenAwait(Duration.ofMinutes(1))
                .verifyErrorSatisfies(error -> assertThat(error)
                        .hasCauseExactlyInstanceOf(TimeoutException.class)
                        .hasRootCauseMessage("graph \"weather\": node \"llm\" took longer than its timeout of PT1M"));
        StepVerifier.withVirtualTime(() ->
                        agent.fallbackModels(rounds(20)).build().stream("Rain?").last())
                .thenAwait(Duration.ofMinutes(3))
                .assertNext(end -> {
                    assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
                    assertThat(end.runUsage().requests())
                            .extracting(RequestUsage::source)
                            .containsExactly(
                                    UsageSource.PARTIAL,
                                    UsageSource.REPORTED,
                                    UsageSource.PARTIAL,
                                    UsageSource.REPORTED);
                })
                .verifyComplete();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    @DisplayName("does not go beyond its limits with them")
    void limits(boolean streamed) {
        FailingModel first = FailingModel.of(rounds(100), 9);
        ScriptedModel second = rounds(20);
        ReactAgent agent = agent(first)
                .retry(Retry.max(9))
                .fallbackModels(second)
                .limits(UsageLimits.NONE.withRequests(2))
                .build();

        NodeFailedException failure = catchThrowableOfType(NodeFailedException.class, () -> end(agent, streamed));

        assertThat(failure).hasCauseInstanceOf(UsageLimitExceededException.class);
        assertThat(failure.usage().requests()).hasSize(2);
        assertThat(first.asked()).isEqualTo(2);
        assertThat(second.prompts()).isEmpty();
    }

    @Test
    @DisplayName(
            "gives the others those of its options that every model knows, with its tools, but not its model's name")
    void options() {
        DefaultToolCallingChatOptions given = new DefaultToolCallingChatOptions();
        given.setModel("first-1");
        given.setTemperature(0.25);
        given.setMaxTokens(99);
        given.setTopP(0.5);
        given.setTopK(3);
        given.setFrequencyPenalty(0.1);
        given.setPresencePenalty(0.2);
        given.setStopSequences(List.of("stop"));
        given.setToolContext(Map.of("tenant", "acme"));
        ScriptedModel second = rounds(20);

        agent(FailingModel.of(rounds(100), 9))
                .options(given)
                .systemPrompt("Be brief.")
                .fallbackModels(second)
                .build()
                .invoke("Rain?")
                .block();

        Prompt asked = second.prompts().get(0);
        assertThat(asked.getSystemMessage().getText()).isEqualTo("Be brief.");
        assertThat(asked.getOptions()).isInstanceOfSatisfying(ToolCallingChatOptions.class, options -> {
            assertThat(options.getModel()).isNull();
            assertThat(options.getTemperature()).isEqualTo(0.25);
            assertThat(options.getMaxTokens()).isEqualTo(99);
            assertThat(options.getTopP()).isEqualTo(0.5);
            assertThat(options.getTopK()).isEqualTo(3);
            assertThat(options.getFrequencyPenalty()).isEqualTo(0.1);
            assertThat(options.getPresencePenalty()).isEqualTo(0.2);
            assertThat(options.getStopSequences()).containsExactly("stop");
            assertThat(options.getToolContext()).isEqualTo(Map.of("tenant", "acme"));
            assertThat(options.getInternalToolExecutionEnabled()).isFalse();
            assertThat(options.getToolCallbacks()).containsExactly((ToolCallback) weather);
        });
    }

    @Test
    @DisplayName("refuses a timeout that is not positive")
    void wrongTimeout() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ReactAgent.builder("weather").timeout(Duration.ZERO))
                .withMessage("timeout must be positive, but is PT0S");
    }
}
