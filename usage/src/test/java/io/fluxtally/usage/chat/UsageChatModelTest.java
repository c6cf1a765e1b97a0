package io.fluxtally.usage.chat;

import static io.fluxtally.usage.chat.Script.PROMPT;
import static io.fluxtally.usage.chat.Script.chunk;
import static io.fluxtally.usage.chat.Script.stop;
import static io.fluxtally.usage.chat.Script.text;
import static io.fluxtally.usage.chat.Script.tokens;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;

class UsageChatModelTest {

    private static final TokenUsage BILL = TokenUsage.of(5000, 2000);

    private final RunScope run = RunScope.start("run");
    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final RuntimeException broken = new IllegalStateException("broken");

    private RequestUsage only() {
        assertThat(run.usage().requests()).hasSize(1);
        return run.usage().requests().get(0);
    }

    private ChatResponse call(ChatModel model, Prompt prompt) throws Exception {
        return run.call(() -> UsageChatModel.of(model, recorder).call(prompt));
    }

    private Flux<ChatResponse> stream(ChatModel model, Prompt prompt) {
        return run.wrap(UsageChatModel.of(model, recorder).stream(prompt));
    }

    /** A request on the wire that came to no figure. */
    private static RequestUsage ended(RequestOutcome outcome) {
        return RequestUsage.builder("ended", Instant.EPOCH).outcome(outcome).build();
    }

    @Test
    @DisplayName("a blocking call is booked, and answers what the model answers")
    void call() throws Exception {
        ChatResponse answer = chunk("chatcmpl-1", "hello", "stop", tokens(5000, 2000));

        assertThat(call(Script.calls(answer), PROMPT)).isSameAs(answer);

        assertThat(only().usage()).isEqualTo(BILL);
        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(only().responseId()).isEqualTo("chatcmpl-1");
    }

    @Test
    @DisplayName("the shorthands of ChatModel are booked too")
    void shorthands() throws Exception {
        ChatModel model = UsageChatModel.of(Script.calls(stop(tokens(5000, 2000))), recorder);

        assertThat(run.call(() -> model.call("hello"))).isEqualTo("!");
        run.wrap(UsageChatModel.of(Script.streams(stop(tokens(5000, 2000))), recorder).stream("hello"))
                .blockLast();

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(10_000, 4_000));
    }

    @Test
    @DisplayName("T14: a blocking call that reports no usage, or answers null, is MISSING")
    void callWithoutUsage() throws Exception {
        call(Script.calls(text("hello")), PROMPT);
        assertThat(call(Script.calls((ChatResponse) null), PROMPT)).isNull();

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source)
                .containsExactly(UsageSource.MISSING, UsageSource.MISSING);
    }

    @Test
    @DisplayName("T7: a blocking call that throws is booked as failed, and throws the model's own exception")
    void callThatThrows() {
        ChatModel model = Script.calls(prompt -> {
            throw broken;
        });

        assertThatIllegalStateException().isThrownBy(() -> call(model, PROMPT)).isSameAs(broken);

        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(UsageScope.current()).isNull();
    }

    @Test
    @DisplayName("during a blocking call the thread's scope is the call, and afterwards what it was")
    void scopeOfCall() throws Exception {
        AtomicReference<UsageScope> during = new AtomicReference<>();
        ChatModel model = Script.calls(prompt -> {
            during.set(UsageScope.current());
            return stop(tokens(1, 1));
        });

        UsageScope after = run.call(() -> {
            UsageChatModel.of(model, recorder).call(PROMPT);
            return UsageScope.current();
        });

        assertThat(during.get()).isInstanceOf(ModelCall.class);
        assertThat(during.get().runScope()).isSameAs(run);
        assertThat(after).isSameAs(run);
    }

    @Test
    @DisplayName("a stream is booked, and passes what the model streams")
    void stream() {
        ChatResponse first = text("hel");
        ChatResponse last = stop(tokens(5000, 2000));

        StepVerifier.create(stream(Script.streams(first, last), PROMPT))
                .expectNext(first, last)
                .verifyComplete();

        assertThat(only().usage()).isEqualTo(BILL);
        assertThat(only().source()).isEqualTo(UsageSource.REPORTED);
    }

    @Test
    @DisplayName("T7: a stream without any chunk is a call whose figure is MISSING, since there is a model for certain")
    void emptyStream() {
        StepVerifier.create(stream(Script.streams(), PROMPT)).verifyComplete();

        assertThat(only().source()).isEqualTo(UsageSource.MISSING);
        assertThat(only().timeToFirstChunk()).isNull();
    }

    @Test
    @DisplayName("a stream that is never subscribed to is no call")
    void unsubscribed() {
        stream(Script.streams(stop(tokens(1, 1))), PROMPT);

        assertThat(run.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("T7: a stream that fails passes the model's own error")
    void streamThatFails() {
        StepVerifier.create(stream(Script.streams(Flux.error(broken)), PROMPT))
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));

        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
    }

    @Test
    @DisplayName("a model that throws instead of streaming is passed through")
    void streamThatThrows() {
        ChatModel model = Script.streams(prompt -> {
            throw broken;
        });

        assertThatIllegalStateException()
                .isThrownBy(() -> stream(model, PROMPT))
                .isSameAs(broken);
        assertThat(run.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("prompt and default options pass through unchanged")
    void passesThrough() throws Exception {
        AtomicReference<Prompt> called = new AtomicReference<>();
        AtomicReference<Prompt> streamed = new AtomicReference<>();
        ChatOptions defaults = ChatOptions.builder().model("qwen-plus").build();
        ChatOptions options = ChatOptions.builder().temperature(0.3).build();
        Prompt prompt = new Prompt("hello", options);
        Script model = Script.calls(asked -> {
                    called.set(asked);
                    return stop(tokens(1, 1));
                })
                .withDefaults(defaults);

        call(model, prompt);
        stream(
                        Script.streams(asked -> {
                            streamed.set(asked);
                            return Flux.empty();
                        }),
                        prompt)
                .blockLast();

        assertThat(called.get()).isSameAs(prompt);
        assertThat(streamed.get()).isSameAs(prompt);
        assertThat(prompt.getOptions()).isSameAs(options);
        assertThat(UsageChatModel.of(model, recorder).getDefaultOptions()).isSameAs(defaults);
        assertThat(UsageChatModel.of(model, recorder)).hasToString("UsageChatModel[Script]");
    }

    @Test
    @DisplayName("T15: the model asked for is the prompt's, else the model's own, else none")
    void requestModel() throws Exception {
        ChatOptions defaults = ChatOptions.builder().model("qwen-plus").build();
        Prompt asks =
                new Prompt("hello", ChatOptions.builder().model("qwen-max").build());
        Prompt silent =
                new Prompt("hello", ChatOptions.builder().temperature(0.3).build());

        call(Script.calls(stop(null)).withDefaults(defaults), asks);
        call(Script.calls(stop(null)).withDefaults(defaults), silent);
        call(Script.calls(stop(null)).withDefaults(defaults), PROMPT);
        call(Script.calls(stop(null)), PROMPT);

        assertThat(run.usage().requests())
                .extracting(RequestUsage::requestModel)
                .containsExactly("qwen-max", "qwen-plus", "qwen-plus", null);
        assertThat(run.usage().requests()).extracting(RequestUsage::model).containsOnly("qwen-plus-2025");
    }

    @ParameterizedTest(name = "tools {0}, prompt says {1}, model says {2}: {3}")
    @CsvSource(
            nullValues = "-",
            value = {
                "prompt, -, -, PARTIAL",
                "prompt, true, -, PARTIAL",
                "prompt, false, -, REPORTED",
                "prompt, -, false, REPORTED",
                "prompt, true, false, PARTIAL",
                "prompt, false, true, REPORTED",
                "defaults, -, -, PARTIAL",
                "defaults, -, false, REPORTED",
                "defaults, false, -, REPORTED",
                "none, -, -, REPORTED",
                "none, true, true, REPORTED"
            })
    @DisplayName("T3: where a model may run tools by itself, rounds may hide, and its figure is PARTIAL")
    void toolsInside(String tools, Boolean prompt, Boolean defaults, UsageSource expected) throws Exception {
        ToolCallingChatOptions.Builder options =
                ToolCallingChatOptions.builder().internalToolExecutionEnabled(prompt);
        ToolCallingChatOptions.Builder own = ToolCallingChatOptions.builder().internalToolExecutionEnabled(defaults);
        if (tools.equals("prompt")) {
            options.toolNames("weather");
        } else if (tools.equals("defaults")) {
            own.toolNames("weather");
        }
        Prompt asked = new Prompt("hello", options.build());

        call(Script.calls(stop(tokens(5000, 2000))).withDefaults(own.build()), asked);
        stream(Script.streams(stop(tokens(5000, 2000))).withDefaults(own.build()), asked)
                .blockLast();

        assertThat(run.usage().requests()).hasSize(2).allSatisfy(request -> {
            assertThat(request.source()).isEqualTo(expected);
            assertThat(request.usage()).isEqualTo(BILL);
            assertThat(request.outcome()).isEqualTo(RequestOutcome.COMPLETED);
        });
    }

    @Test
    @DisplayName("T3: tools given as callbacks count like tools given by name")
    void toolCallbacks() throws Exception {
        ToolCallback tool = new ToolCallback() {
            @Override
            public ToolDefinition getToolDefinition() {
                return ToolDefinition.builder()
                        .name("weather")
                        .description("weather")
                        .inputSchema("{}")
                        .build();
            }

            @Override
            public String call(String input) {
                return "sunny";
            }
        };

        call(
                Script.calls(stop(tokens(5000, 2000))),
                new Prompt(
                        "hello",
                        ToolCallingChatOptions.builder().toolCallbacks(tool).build()));

        assertThat(only().source()).isEqualTo(UsageSource.PARTIAL);
    }

    @Test
    @DisplayName("T8: two calls are two requests, of calls of their own")
    void twoCalls() throws Exception {
        call(Script.calls(stop(tokens(5000, 2000))), PROMPT);
        call(Script.calls(stop(tokens(5000, 2000))), PROMPT);

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(10_000, 4_000));
        assertThat(run.usage().requests())
                .extracting(RequestUsage::callId)
                .doesNotHaveDuplicates()
                .doesNotContainNull();
    }

    @Test
    @DisplayName("T8: a retried and a repeated stream book each subscription")
    void resubscription() {
        Flux<ChatResponse> stream = stream(Script.streams(stop(tokens(5000, 2000))), PROMPT);

        stream.repeat(2).blockLast();

        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(15_000, 6_000));
        assertThat(run.usage().requests()).hasSize(3);
    }

    @Test
    @DisplayName("a model that is decorated already is returned as it is")
    void decoratedTwice() {
        UsageChatModel once = UsageChatModel.of(Script.calls(text("hello")), recorder);

        assertThat(UsageChatModel.of(once, UsageRecorder.shared())).isSameAs(once);
        assertThat(UsageChatModel.of(once)).isSameAs(once);
    }

    @Test
    @DisplayName("a decorator around a wrapper around a decorator books an answer once, streamed and called")
    void nested() throws Exception {
        UsageChatModel calling = UsageChatModel.of(Script.calls(stop(tokens(5000, 2000))), recorder);
        call(Script.calls(calling::call), PROMPT);
        assertThat(only().usage()).isEqualTo(BILL);

        UsageChatModel streaming = UsageChatModel.of(Script.streams(text("a"), stop(tokens(5000, 2000))), recorder);
        stream(Script.streams(streaming::stream), PROMPT).blockLast();
        run.wrap(ChatUsage.capture(streaming.stream(PROMPT), recorder)).blockLast();

        assertThat(run.usage().requests()).hasSize(3);
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(15_000, 6_000));
    }

    @Test
    @DisplayName("a decorator around another that fails books the failure once")
    void nestedFailure() {
        UsageChatModel inner = UsageChatModel.of(
                Script.calls(prompt -> {
                    throw broken;
                }),
                recorder);

        assertThatIllegalStateException()
                .isThrownBy(() -> call(Script.calls(inner::call), PROMPT))
                .isSameAs(broken);

        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
    }

    @Test
    @DisplayName("T19: a model that a tool calls inside a call is booked beside it")
    void hiddenCall() throws Exception {
        UsageChatModel ofTool = UsageChatModel.of(Script.calls(chunk("tool", "x", "stop", tokens(100, 10))), recorder);
        ChatModel withTool = Script.calls(prompt -> {
            ofTool.call(prompt);
            return stop(tokens(5000, 2000));
        });

        call(withTool, PROMPT);

        assertThat(run.usage().requests()).hasSize(2);
        assertThat(run.getTokenUsage()).isEqualTo(TokenUsage.of(5100, 2010));
    }

    @Test
    @DisplayName("a blocking call that the wire tap saw is booked by it alone")
    void wireWins() throws Exception {
        ChatModel model = Script.calls(prompt -> {
            ModelCall call = (ModelCall) UsageScope.current();
            ModelCall.OpenRequest open = () -> {};
            call.join(open, true);
            recorder.book(
                    call.runScope(),
                    ModelCall.newRequest(call, Instant.EPOCH)
                            .provider("wire")
                            .usage(BILL, UsageSource.REPORTED)
                            .build());
            call.leave(open, ended(RequestOutcome.COMPLETED));
            return stop(tokens(1, 1));
        });

        call(model, PROMPT);

        assertThat(only().provider()).isEqualTo("wire");
    }

    @Test
    @DisplayName("a call that finds no run is booked to the process, as unattributed")
    void noRun() {
        UsageChatModel.of(Script.calls(stop(tokens(5000, 2000))), recorder).call(PROMPT);
        UsageChatModel.of(Script.streams(stop(tokens(5000, 2000))), recorder).stream(PROMPT)
                .blockLast();

        assertThat(recorder.unattributed()).isEqualTo(2);
        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(10_000, 4_000));
    }

    @Test
    @DisplayName("without a recorder given, calls are booked to that of the process")
    void sharedRecorder() {
        long before = UsageRecorder.shared().processSum().requests();

        UsageChatModel.of(Script.calls(stop(tokens(5000, 2000)))).call(PROMPT);

        assertThat(UsageRecorder.shared().processSum().requests() - before).isEqualTo(1);
    }

    @Test
    @DisplayName("a run in the context goes before one on the thread")
    void contextBeforeThread() throws Exception {
        RunScope ofThread = RunScope.start("thread");

        ofThread.call(() ->
                stream(Script.streams(stop(tokens(5000, 2000))), PROMPT).blockLast());

        assertThat(only().runId()).isEqualTo("run");
        assertThat(ofThread.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("the labels of the scope are on the request")
    void labels() {
        RunScope labelled = run.withAgent("planner").withNode("llm").withRound(3);

        labelled.wrap(UsageChatModel.of(Script.streams(stop(tokens(5000, 2000))), recorder).stream(PROMPT))
                .blockLast();

        assertThat(only().agent()).isEqualTo("planner");
        assertThat(only().node()).isEqualTo("llm");
        assertThat(only().round()).isEqualTo(3);
    }

    @Test
    @DisplayName("T22: default options that throw when measured leave the call as it is, and are counted")
    void defaultsThatThrow() throws Exception {
        ChatResponse answer = stop(tokens(5000, 2000));
        ChatModel model = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                return answer;
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return Flux.just(answer);
            }

            @Override
            public ChatOptions getDefaultOptions() {
                throw broken;
            }
        };
        long before = MeasuringFailures.count();

        assertThat(call(model, PROMPT)).isSameAs(answer);
        StepVerifier.create(stream(model, PROMPT)).expectNext(answer).verifyComplete();

        assertThat(MeasuringFailures.count() - before).isEqualTo(2);
    }

    @Test
    @DisplayName("T22: a usage that throws while it is read leaves the call as it is, and is counted")
    void usageThatThrows() throws Exception {
        ChatResponse answer = stop(new DefaultUsage(1, 1) {
            @Override
            public Integer getPromptTokens() {
                throw broken;
            }
        });
        long before = MeasuringFailures.count();

        assertThat(call(Script.calls(answer), PROMPT)).isSameAs(answer);

        assertThat(MeasuringFailures.count() - before).isEqualTo(1);
    }

    @Test
    @DisplayName("an error that is no exception passes through too")
    void errorThatIsNoException() {
        AssertionError error = new AssertionError("mine");

        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> call(
                        Script.calls(prompt -> {
                            throw error;
                        }),
                        PROMPT))
                .isSameAs(error);
        assertThat(only().outcome()).isEqualTo(RequestOutcome.FAILED);
    }

    @Test
    @DisplayName("what is missing is refused by name")
    void missingArguments() {
        assertThatNullPointerException()
                .isThrownBy(() -> UsageChatModel.of(null, recorder))
                .withMessage("model");
        assertThatNullPointerException()
                .isThrownBy(() -> UsageChatModel.of(Script.calls(text("a")), null))
                .withMessage("recorder");
    }

    @Test
    @DisplayName("T7, T19: a call that fails after its tool has called a model of its own is booked beside that one")
    void failsAfterTheToolsOwnModel() {
        UsageChatModel ofTool = UsageChatModel.of(Script.calls(chunk("tool", "x", "stop", tokens(100, 10))), recorder);
        ChatModel withTool = Script.calls((Prompt prompt) -> {
            ofTool.call(prompt);
            throw broken;
        });

        assertThatIllegalStateException()
                .isThrownBy(() -> call(withTool, PROMPT))
                .isSameAs(broken);

        assertThat(run.usage().requests())
                .extracting(RequestUsage::source)
                .containsExactlyInAnyOrder(UsageSource.REPORTED, UsageSource.MISSING);
        assertThat(run.usage().isComplete()).isFalse();
    }
}
