package io.fluxtally.usage.chat;

import static io.fluxtally.usage.chat.Script.PROMPT;
import static io.fluxtally.usage.chat.Script.chunk;
import static io.fluxtally.usage.chat.Script.stop;
import static io.fluxtally.usage.chat.Script.text;
import static io.fluxtally.usage.chat.Script.tokens;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.TapUnderTest;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tokenizer.JTokkitTokenCountEstimator;
import org.springframework.ai.tool.function.FunctionToolCallback;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

class UsageEstimatorTest {

    private static final UsageEstimator JTOKKIT = UsageEstimator.counting(new JTokkitTokenCountEstimator());

    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final RunScope run = RunScope.start();

    private UsageChatModel estimating(Script model, UsageEstimator estimator) {
        return UsageChatModel.of(model, recorder).estimating(estimator);
    }

    private RequestUsage only() {
        assertThat(run.usage().requests()).hasSize(1);
        return run.usage().requests().get(0);
    }

    /** Ten tokens of input, and one of output for each character. */
    private static UsageEstimator byLength() {
        return new UsageEstimator() {
            @Override
            public long inputTokens(Prompt prompt) {
                return 10;
            }

            @Override
            public long outputTokens(AssistantMessage piece) {
                return piece.getText().length();
            }
        };
    }

    @Test
    @DisplayName("T7: an answer that the app leaves before its usage is estimated, and says so")
    void cancelled() {
        run.wrap(
                        estimating(
                                Script.streams(
                                        Flux.just(text("Hel"), text("lo")).concatWith(Flux.never())),
                                byLength())
                                .stream(PROMPT))
                .take(2)
                .blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(10, 5));
        assertThat(only().source()).isEqualTo(UsageSource.ESTIMATED);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
        assertThat(run.usage().isComplete()).isFalse();
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(10, 5));
    }

    @Test
    @DisplayName("T7: an answer that breaks, and a whole one without usage, are estimated alike")
    void withoutUsage() throws Exception {
        run.wrap(estimating(
                        Script.streams(Flux.just(text("Hel")).concatWith(Mono.error(new RuntimeException("broken")))),
                        byLength())
                        .stream(PROMPT))
                .onErrorComplete()
                .blockLast();
        run.call(() -> estimating(Script.calls(stop(null)), byLength()).call(PROMPT));

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source)
                .containsExactly(UsageSource.ESTIMATED, UsageSource.ESTIMATED);
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(20, 4));
    }

    @Test
    @DisplayName("what is reported, even in part, is not estimated")
    void reported() {
        run.wrap(
                        estimating(Script.streams(text("Hel", tokens(5000, 700)), stop(tokens(5000, 2000))), byLength())
                                .stream(PROMPT))
                .take(1)
                .blockLast();

        assertThat(only().usage()).isEqualTo(TokenUsage.of(5000, 700));
        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
    }

    @Test
    @DisplayName("a call of which nothing was heard is missing, and no guess")
    void nothingHeard() {
        run.wrap(estimating(Script.streams(Flux.error(new RuntimeException("refused"))), byLength()).stream(PROMPT))
                .onErrorComplete()
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
    }

    @Test
    @DisplayName("a response on the wire without usage is estimated from the chunks of that response alone")
    void onTheWire() {
        ModelCall call = ModelCall.open(run, null);
        AnswerEstimate estimate = new AnswerEstimate(byLength(), PROMPT);
        call.estimates(estimate::of);
        estimate.add(chunk("id-1", "Hel", null, null), "id-1");
        estimate.add(chunk("id-2", "lo", null, null), "id-2");
        estimate.add(chunk("id-1", "lo!", null, null), "id-1");

        assertThat(call.estimate("id-1")).isEqualTo(TokenUsage.of(10, 6));
        assertThat(call.estimate("id-2")).isEqualTo(TokenUsage.of(10, 2));
        assertThat(call.estimate(null)).isEqualTo(TokenUsage.of(10, 6));
        assertThat(call.estimate("id-3")).isNull();
    }

    @Test
    @DisplayName("a round was asked no less than the round before was asked and answered")
    void laterRound() {
        ModelCall call = ModelCall.open(run, null);
        AnswerEstimate estimate = new AnswerEstimate(byLength(), PROMPT);
        call.estimates(estimate::of);
        estimate.add(chunk("id-2", "lo", null, null), "id-2");
        ModelCall.OpenRequest first = () -> {};
        call.join(first, true);
        call.leave(
                first,
                ModelCall.newRequest(call, Instant.EPOCH)
                        .usage(TokenUsage.of(200, 20), UsageSource.REPORTED)
                        .build());

        assertThat(call.estimate("id-2")).isEqualTo(TokenUsage.of(220, 2));
    }

    @Test
    @DisplayName("a call estimates for its requests that outlive it, and then no longer: it knows the prompt")
    void afterTheCall() {
        ModelCall call = ModelCall.open(run, null);
        AnswerEstimate estimate = new AnswerEstimate(byLength(), PROMPT);
        call.estimates(estimate::of);
        estimate.add(chunk("id-1", "Hel", null, null), "id-1");
        ModelCall.OpenRequest drained = () -> {};
        call.join(drained, true);

        call.close();
        assertThat(call.estimate("id-1")).isEqualTo(TokenUsage.of(10, 3));
        call.leave(drained, null);
        assertThat(call.estimate("id-1")).isNull();

        ModelCall quick = ModelCall.open(run, null);
        quick.estimates(estimate::of);
        quick.close();
        assertThat(quick.estimate("id-1")).isNull();
    }

    @Test
    @DisplayName("T22: an estimator that throws costs the estimate, and the stream is as it was")
    void thatThrows() {
        long before = MeasuringFailures.count();
        UsageEstimator broken = new UsageEstimator() {
            @Override
            public long inputTokens(Prompt prompt) {
                throw new IllegalStateException("broken");
            }

            @Override
            public long outputTokens(AssistantMessage piece) {
                throw new IllegalStateException("broken");
            }
        };

        assertThat(run.wrap(estimating(Script.streams(text("Hel"), stop(null)), broken).stream(PROMPT))
                        .collectList()
                        .block())
                .hasSize(2);

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(MeasuringFailures.count()).isGreaterThan(before);
    }

    @Test
    @DisplayName("T22: an estimator that cannot be linked costs the estimate, and no booking, heard or on the wire")
    void thatCannotBeLinked() {
        UsageEstimator broken = new UsageEstimator() {
            @Override
            public long inputTokens(Prompt prompt) {
                throw new NoClassDefFoundError("the tokenizer");
            }

            @Override
            public long outputTokens(AssistantMessage piece) {
                return 1;
            }
        };
        run.wrap(estimating(Script.streams(text("Hel"), stop(null)), broken).stream(PROMPT))
                .blockLast();
        TapUnderTest tap = TapUnderTest.create();
        ModelCall call = ModelCall.open(run, null);
        AnswerEstimate estimate = new AnswerEstimate(broken, PROMPT);
        call.estimates(estimate::of);
        estimate.add(text("Hel"), null);
        tap.feed(
                TapUnderTest.post(TapUnderTest.OPENAI_PATH),
                call,
                200,
                TapUnderTest.EVENTS,
                List.of(),
                TapUnderTest.Ending.RESET);
        call.close();

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source)
                .containsExactly(UsageSource.MISSING, UsageSource.MISSING);
        assertThat(run.usage().inFlight()).isZero();
    }

    @Test
    @DisplayName("an estimate that could not be linked for a piece of the answer is none")
    void pieceThatCannotBeLinked() {
        UsageEstimator broken = new UsageEstimator() {
            @Override
            public long inputTokens(Prompt prompt) {
                return 10;
            }

            @Override
            public long outputTokens(AssistantMessage piece) {
                if (piece.getText().equals("lo")) {
                    throw new NoClassDefFoundError("the tokenizer");
                }
                return 1;
            }
        };

        run.wrap(estimating(Script.streams(text("Hel"), text("lo")), broken).stream(PROMPT))
                .blockLast();

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
    }

    @Test
    @DisplayName(
            "texts, tool calls, tool results and tools are counted as OpenAI's models do, with what each message adds")
    void counting() {
        // "hello world" is two tokens of cl100k_base, "get_weather" two, "{}" one, "ok" one.
        assertThat(JTOKKIT.inputTokens(new Prompt(new UserMessage("hello world"))))
                .isEqualTo(3 + 3 + 2);
        assertThat(JTOKKIT.inputTokens(new Prompt(new SystemMessage("hello world"), new UserMessage("ok"))))
                .isEqualTo(3 + 3 + 2 + 3 + 1);
        assertThat(JTOKKIT.outputTokens(new AssistantMessage("hello world"))).isEqualTo(2);

        AssistantMessage asks = AssistantMessage.builder()
                .content("")
                .toolCalls(List.of(new AssistantMessage.ToolCall("id", "function", "get_weather", "{}")))
                .build();
        ToolResponseMessage answers = ToolResponseMessage.builder()
                .responses(List.of(new ToolResponseMessage.ToolResponse("id", "get_weather", "ok")))
                .build();
        assertThat(JTOKKIT.outputTokens(asks)).isEqualTo(3);
        assertThat(JTOKKIT.inputTokens(new Prompt(List.of(asks, answers)))).isEqualTo(3 + 3 + 3 + 3 + 1);

        ToolCallingChatOptions tools = ToolCallingChatOptions.builder()
                .toolCallbacks(FunctionToolCallback.builder("get_weather", (Map<String, Object> in) -> "ok")
                        .description("hello world")
                        .inputSchema("{}")
                        .inputType(Map.class)
                        .build())
                .build();
        assertThat(JTOKKIT.inputTokens(new Prompt("ok", tools))).isEqualTo(3 + 3 + 1 + 2 + 2 + 1);
    }

    @Test
    @DisplayName("what is missing is refused by name")
    void missingArguments() {
        assertThatThrownBy(() -> UsageEstimator.counting(null)).hasMessage("counter");
        assertThatThrownBy(() -> UsageChatModel.of(Script.calls(stop(null))).estimating(null))
                .hasMessage("estimator");
    }
}
