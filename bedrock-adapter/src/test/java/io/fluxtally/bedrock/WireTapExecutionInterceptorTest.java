package io.fluxtally.bedrock;

import static io.fluxtally.bedrock.Bedrock.converse;
import static io.fluxtally.bedrock.Bedrock.document;
import static io.fluxtally.bedrock.Bedrock.exception;
import static io.fluxtally.bedrock.Bedrock.stream;
import static io.fluxtally.bedrock.Bedrock.text;
import static io.fluxtally.bedrock.Bedrock.throttled;
import static io.fluxtally.bedrock.Bedrock.toolCall;
import static io.fluxtally.bedrock.Bedrock.usage;
import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.RequestOutcome.TRUNCATED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.WireTap;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.bedrock.converse.BedrockChatOptions;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Hooks;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamRequest;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException;

/** The interceptor in the SDK's real clients, under Spring AI's real model, over real HTTP. */
@Timeout(60)
class WireTapExecutionInterceptorTest {

    private static final Prompt PROMPT = new Prompt("Hello");
    private static final String CACHED =
            "{\"inputTokens\":22,\"outputTokens\":55,\"totalTokens\":1205,\"cacheReadInputTokens\":1000,\"cacheWriteInputTokens\":128}";
    private static final TokenUsage CACHED_TOKENS = TokenUsage.builder()
            .inputTokens(1150)
            .outputTokens(55)
            .part(TokenPart.CACHE_READ_INPUT, 1000)
            .part(TokenPart.CACHE_CREATION_INPUT, 128)
            .build();

    private final RunScope run = RunScope.start("run-1");
    private long failures;

    @BeforeEach
    void countFailures() {
        failures = MeasuringFailures.count();
    }

    @AfterEach
    @Timeout(20)
    void nothingFailed() {
        awaitEnd(run);
        assertThat(MeasuringFailures.count()).isEqualTo(failures);
    }

    private static TokenUsage tokens(long input, long output) {
        return TokenUsage.builder().inputTokens(input).outputTokens(output).build();
    }

    private static Prompt withTool() {
        ToolCallback tool = FunctionToolCallback.builder("weather", (Map<String, Object> place) -> "rain")
                .description("the weather")
                .inputType(Map.class)
                .build();
        return new Prompt(
                "Weather?",
                BedrockChatOptions.builder().model("m").toolCallbacks(tool).build());
    }

    private ChatModel decorated(Bedrock bedrock, Protocol protocol) {
        return UsageChatModel.of(bedrock.model(protocol), bedrock.recorder);
    }

    private static void assertBookedTwiceNowhere(Bedrock bedrock, RunScope run, TokenUsage total) {
        assertThat(run.usage().total()).isEqualTo(total);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(bedrock.recorder.processSum().total()).isEqualTo(total);
        assertThat(bedrock.recorder.unattributed()).isZero();
    }

    @ParameterizedTest
    @DisplayName("T13: a stream is booked with its cached tokens before the app sees its end")
    @EnumSource(Protocol.class)
    void wholeStream(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(stream("req-1", text(CACHED)))) {
            List<TokenUsage> atTheEnd = new ArrayList<>();

            run.wrap(decorated(bedrock, protocol).stream(PROMPT))
                    .doOnComplete(() -> atTheEnd.add(run.usage().total()))
                    .blockLast();

            RequestUsage request = bedrock.awaitBooked(1).get(0);
            assertThat(atTheEnd).containsExactly(CACHED_TOKENS);
            assertThat(request.usage()).isEqualTo(CACHED_TOKENS);
            assertThat(request.source()).isEqualTo(REPORTED);
            assertThat(request.outcome()).isEqualTo(COMPLETED);
            assertThat(request.provider()).isEqualTo("bedrock");
            assertThat(request.responseId()).isEqualTo("req-1");
            assertThat(request.requestModel()).isEqualTo(Bedrock.MODEL);
            assertThat(request.runId()).isEqualTo("run-1");
            assertThat(request.attempt()).isEqualTo(1);
            assertThat(request.round()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @DisplayName("the app sees the same with the tap as without")
    @EnumSource(Protocol.class)
    void harmless(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(stream("req-1", text(CACHED)))) {
            assertThat(seen(decorated(bedrock, protocol))).isEqualTo(seen(bedrock.bareModel(protocol)));
            assertThat(bedrock.requests()).hasSize(2);
            assertThat(bedrock.requests().get(0)).isEqualTo(bedrock.requests().get(1));
        }
    }

    private static String show(ChatResponse response) {
        return "%s %s %s %s"
                .formatted(
                        response.getMetadata().getId(),
                        response.getResult().getOutput().getText(),
                        response.getResult().getMetadata().getFinishReason(),
                        response.getMetadata().getUsage().getNativeUsage());
    }

    private static List<String> seen(ChatModel model) {
        return model.stream(PROMPT)
                .map(WireTapExecutionInterceptorTest::show)
                .collectList()
                .block();
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that ends before its figures is truncated, and its figures are missing")
    @EnumSource(Protocol.class)
    void cutStream(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(stream("req-1", text(CACHED).subList(0, 3)))) {
            run.wrap(decorated(bedrock, protocol).stream(PROMPT)).blockLast();

            RequestUsage request = bedrock.awaitBooked(1).get(0);
            assertThat(request.outcome()).isEqualTo(TRUNCATED);
            assertThat(request.source()).isEqualTo(MISSING);
            assertThat(request.responseId()).isEqualTo("req-1");
            assertThat(run.usage().isComplete()).isFalse();
        }
    }

    @ParameterizedTest
    @DisplayName(
            "T7, T8: of a stream that is reset nothing is known, and what the SDK then tries in the background is booked")
    @EnumSource(Protocol.class)
    void reset(Protocol protocol) throws Exception {
        try (Bedrock bedrock =
                new Bedrock(Bedrock.reset("req-1", text(CACHED).subList(0, 3)), stream("req-2", text(usage(22, 55))))) {
            assertThatThrownBy(() -> run.wrap(decorated(bedrock, protocol).stream(PROMPT))
                            .blockLast())
                    .isNotNull();

            List<RequestUsage> requests = bedrock.awaitBooked(2);
            assertThat(requests).extracting(RequestUsage::outcome).containsExactly(FAILED, COMPLETED);
            assertThat(requests).extracting(RequestUsage::source).containsExactly(MISSING, REPORTED);
            assertThat(requests).extracting(RequestUsage::attempt).containsExactly(1, 2);
        }
    }

    @ParameterizedTest
    @DisplayName(
            "T7, T8: an exception inside a stream fails that request, and each that the SDK tries in the background")
    @EnumSource(Protocol.class)
    void exceptionInStream(Protocol protocol) throws Exception {
        List<byte[]> messages = new ArrayList<>(text(CACHED).subList(0, 3));
        messages.add(exception("throttlingException"));
        try (Bedrock bedrock = new Bedrock(stream("req-1", messages))) {
            assertThatThrownBy(() -> run.wrap(decorated(bedrock, protocol).stream(PROMPT))
                            .blockLast())
                    .isInstanceOf(ThrottlingException.class);

            assertThat(bedrock.awaitBooked(3)).allSatisfy(request -> {
                assertThat(request.outcome()).isEqualTo(FAILED);
                assertThat(request.source()).isEqualTo(MISSING);
                assertThat(request.runId()).isEqualTo("run-1");
            });
        }
    }

    @ParameterizedTest
    @DisplayName(
            "T8: a stream that is throttled fails, and the answer that the SDK then gets in the background is booked")
    @EnumSource(Protocol.class)
    void throttledStream(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(throttled("req-1"), stream("req-2", text(CACHED)))) {
            assertThatThrownBy(() -> run.wrap(decorated(bedrock, protocol).stream(PROMPT))
                            .blockLast())
                    .isInstanceOf(ThrottlingException.class);

            List<RequestUsage> requests = bedrock.awaitBooked(2);
            assertThat(requests).extracting(RequestUsage::outcome).containsExactly(REJECTED, COMPLETED);
            assertThat(requests).extracting(RequestUsage::usage).containsExactly(TokenUsage.ZERO, CACHED_TOKENS);
            assertThat(requests).extracting(RequestUsage::responseId).containsExactly("req-1", "req-2");
            assertThat(requests).extracting(RequestUsage::attempt).containsExactly(1, 2);
            awaitEnd(run);
            assertBookedTwiceNowhere(bedrock, run, CACHED_TOKENS);
        }
    }

    /** A request is over a moment after it was booked. */
    private static void awaitEnd(RunScope run) {
        while (run.usage().inFlight() > 0) {
            if (Thread.interrupted()) {
                throw new AssertionError("open: " + run.usage());
            }
            Thread.onSpinWait();
        }
    }

    @ParameterizedTest
    @DisplayName("T8: a try whose connection is dropped without an answer may be billed; the next one is booked too")
    @EnumSource(Protocol.class)
    void dropped(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(Bedrock.drop(), stream("req-2", text(CACHED)))) {
            assertThatThrownBy(() -> run.wrap(decorated(bedrock, protocol).stream(PROMPT))
                            .blockLast())
                    .isNotNull();

            List<RequestUsage> requests = bedrock.awaitBooked(2);
            assertThat(requests).extracting(RequestUsage::outcome).containsExactlyInAnyOrder(FAILED, COMPLETED);
            assertThat(requests).extracting(RequestUsage::source).containsExactlyInAnyOrder(MISSING, REPORTED);
        }
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cancelled goes on in the SDK, and is booked with its figures when it ends there")
    @EnumSource(Protocol.class)
    void cancelled(Protocol protocol) throws Exception {
        Sinks.Empty<Void> afterCancel = Sinks.empty();
        Flux<byte[]> messages = Flux.fromIterable(text(CACHED).subList(0, 3))
                .concatWith(afterCancel.asMono().cast(byte[].class))
                .concatWith(Flux.fromIterable(text(CACHED).subList(3, 6)));
        try (Bedrock bedrock = new Bedrock(stream("req-1", messages))) {
            run.wrap(decorated(bedrock, protocol).stream(PROMPT)).take(1).blockLast();

            assertThat(run.usage().sum().requests()).isZero();
            assertThat(run.usage().isComplete()).isFalse();
            afterCancel.tryEmitEmpty();
            RequestUsage request = bedrock.awaitBooked(1).get(0);
            assertThat(request.outcome()).isEqualTo(COMPLETED);
            assertThat(request.usage()).isEqualTo(CACHED_TOKENS);
            awaitEnd(run);
            assertBookedTwiceNowhere(bedrock, run, CACHED_TOKENS);
        }
    }

    @ParameterizedTest
    @DisplayName("T7: a call that its own future cancels is booked at once, and its run does not stay open")
    @EnumSource(Protocol.class)
    void cancelledInTheSdk(Protocol protocol) throws Exception {
        Flux<byte[]> messages = Flux.fromIterable(text(CACHED).subList(0, 3)).concatWith(Flux.never());
        try (Bedrock bedrock = new Bedrock(stream("req-1", messages))) {
            CountDownLatch begun = new CountDownLatch(1);
            CompletableFuture<Void> call = run.call(() -> bedrock.asyncClient(protocol, bedrock.interceptor)
                    .converseStream(
                            ConverseStreamRequest.builder().modelId("m").build(),
                            ConverseStreamResponseHandler.builder()
                                    .subscriber(event -> begun.countDown())
                                    .build()));
            assertThat(begun.await(20, TimeUnit.SECONDS)).isTrue();

            call.cancel(true);

            RequestUsage request = bedrock.awaitBooked(1).get(0);
            assertThat(request.outcome()).isIn(CANCELLED, FAILED);
            assertThat(request.source()).isEqualTo(MISSING);
            assertThat(request.runId()).isEqualTo("run-1");
        }
    }

    @ParameterizedTest
    @DisplayName("T3, T18: each round of a tool loop in a stream is booked to the run, and none twice")
    @EnumSource(Protocol.class)
    void toolLoop(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(
                stream("req-1", toolCall("tool-1", usage(200, 20))),
                stream("req-2", toolCall("tool-2", usage(260, 6))),
                stream("req-3", text(CACHED)))) {
            run.wrap(decorated(bedrock, protocol).stream(withTool())).blockLast();

            assertThat(bedrock.requests()).hasSize(3);
            List<RequestUsage> requests = bedrock.awaitBooked(3);
            assertThat(requests)
                    .extracting(RequestUsage::usage)
                    .containsExactly(tokens(200, 20), tokens(260, 6), CACHED_TOKENS);
            assertThat(requests).extracting(RequestUsage::round).containsExactly(1, 2, 3);
            assertThat(requests).extracting(RequestUsage::callId).doesNotContainNull();
            assertThat(requests.stream().map(RequestUsage::callId).distinct()).hasSize(1);
            awaitEnd(run);
            bedrock.assertNothingElseBooked();
            assertThat(run.usage().sum().requests()).isEqualTo(3);
            assertThat(run.usage().total().totalTokens()).isEqualTo(220 + 266 + 1205);
            assertThat(bedrock.recorder.processSum().total())
                    .isEqualTo(run.usage().total());
            assertThat(bedrock.recorder.unattributed()).isZero();
        }
    }

    @Test
    @DisplayName("T18: tool loops at the same time are booked to a run each")
    void toolLoopsInParallel() throws Exception {
        int loops = 8;
        Bedrock.Answer[] answers = new Bedrock.Answer[2 * loops];
        for (int i = 0; i < loops; i++) {
            answers[i] = stream("a-" + i, toolCall("tool-" + i, usage(100, 10)));
            answers[loops + i] = stream("b-" + i, text(usage(22, 55)));
        }
        try (Bedrock bedrock = new Bedrock(answers)) {
            ChatModel model = decorated(bedrock, Protocol.HTTP2);
            CountDownLatch together = new CountDownLatch(loops);
            ToolCallback tool = FunctionToolCallback.builder("weather", (Map<String, Object> place) -> {
                        together.countDown();
                        await(together);
                        return "rain";
                    })
                    .description("the weather")
                    .inputType(Map.class)
                    .build();
            Prompt prompt = new Prompt(
                    "Weather?",
                    BedrockChatOptions.builder().model("m").toolCallbacks(tool).build());
            List<RunScope> runs = new ArrayList<>();

            Flux.range(0, loops)
                    .flatMap(i -> {
                        RunScope own = RunScope.start();
                        runs.add(own);
                        return own.wrap(model.stream(prompt));
                    })
                    .blockLast();

            bedrock.awaitBooked(2 * loops);
            assertThat(runs).allSatisfy(own -> {
                awaitEnd(own);
                assertThat(own.usage().total()).isEqualTo(tokens(122, 65));
            });
            assertThat(bedrock.recorder.unattributed()).isZero();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    @Test
    @DisplayName(
            "T18: without the decorator a stream finds its run by automatic context propagation only, and is never lost")
    void withoutDecorator() throws Exception {
        try (Bedrock bedrock = new Bedrock(
                stream("req-1", toolCall("tool-1", usage(200, 20))),
                stream("req-2", text(usage(22, 55))),
                stream("req-3", toolCall("tool-3", usage(200, 20))),
                stream("req-4", text(usage(22, 55))))) {
            ChatModel model = bedrock.model(Protocol.HTTP2);

            run.wrap(model.stream(withTool())).blockLast();

            bedrock.awaitBooked(2);
            assertThat(run.usage().sum().requests()).isZero();
            assertThat(bedrock.recorder.unattributed()).isEqualTo(2);
            Hooks.enableAutomaticContextPropagation();
            try {
                run.wrap(model.stream(withTool())).blockLast();
            } finally {
                Hooks.disableAutomaticContextPropagation();
            }
            bedrock.awaitBooked(2);
            assertThat(run.usage().total()).isEqualTo(tokens(222, 75));
            assertThat(bedrock.recorder.unattributed()).isEqualTo(2);
        }
    }

    @Test
    @DisplayName("T18: with the decorator and automatic context propagation, too, each round is booked once")
    void decoratorAndAutomaticPropagation() throws Exception {
        try (Bedrock bedrock = new Bedrock(
                stream("req-1", toolCall("tool-1", usage(200, 20))), stream("req-2", text(usage(22, 55))))) {
            Hooks.enableAutomaticContextPropagation();
            try {
                run.wrap(decorated(bedrock, Protocol.HTTP2).stream(withTool())).blockLast();
            } finally {
                Hooks.disableAutomaticContextPropagation();
            }

            bedrock.awaitBooked(2);
            awaitEnd(run);
            assertBookedTwiceNowhere(bedrock, run, tokens(222, 75));
            bedrock.assertNothingElseBooked();
        }
    }

    @Test
    @DisplayName("T3: each round of a tool loop in a call is booked to the run, and none twice")
    void callWithTools() throws Exception {
        try (Bedrock bedrock = new Bedrock(
                document(
                        200,
                        null,
                        "req-1",
                        converse(
                                "{\"toolUse\":{\"toolUseId\":\"tool-1\",\"name\":\"weather\",\"input\":{}}}",
                                "tool_use",
                                usage(200, 20))),
                document(200, null, "req-2", converse("{\"text\":\"é漢\"}", "end_turn", CACHED)))) {
            ChatModel model = decorated(bedrock, Protocol.HTTP2);

            String answer = run.call(
                    () -> model.call(withTool()).getResult().getOutput().getText());

            assertThat(answer).isEqualTo("é漢");
            List<RequestUsage> requests = bedrock.awaitBooked(2);
            assertThat(requests).extracting(RequestUsage::usage).containsExactly(tokens(200, 20), CACHED_TOKENS);
            assertThat(requests).extracting(RequestUsage::outcome).containsOnly(COMPLETED);
            assertThat(requests).extracting(RequestUsage::responseId).containsExactly("req-1", "req-2");
            assertThat(requests).extracting(RequestUsage::requestModel).containsOnly("m");
            assertBookedTwiceNowhere(bedrock, run, tokens(200, 20).plus(CACHED_TOKENS));
            bedrock.assertNothingElseBooked();
        }
    }

    @Test
    @DisplayName("T8: each try of a call is a request of its own")
    void throttledCall() throws Exception {
        try (Bedrock bedrock = new Bedrock(
                throttled("req-1"),
                Bedrock.drop(),
                document(200, null, "req-3", converse("{\"text\":\"a\"}", "end_turn", CACHED)))) {
            ChatModel model = decorated(bedrock, Protocol.HTTP2);

            run.call(() -> model.call(PROMPT));

            List<RequestUsage> requests = bedrock.awaitBooked(3);
            assertThat(requests)
                    .extracting(RequestUsage::outcome)
                    .containsExactlyInAnyOrder(REJECTED, FAILED, COMPLETED);
            assertThat(requests)
                    .extracting(RequestUsage::source)
                    .containsExactlyInAnyOrder(REPORTED, MISSING, REPORTED);
            assertThat(run.usage().total()).isEqualTo(CACHED_TOKENS);
            bedrock.assertNothingElseBooked();
        }
    }

    @ParameterizedTest
    @DisplayName("tries that never found a connection are not booked, in a call or in a stream")
    @EnumSource(Protocol.class)
    void neverSent(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(throttled("req-1"));
                Socket held = bedrock.stopAndHoldPort()) {
            assertThat(held.isBound()).isTrue();
            ChatModel model = bedrock.model(protocol);

            assertThatThrownBy(() -> run.call(() -> model.call(PROMPT))).isInstanceOf(SdkClientException.class);
            assertThat(run.usage().isComplete()).isTrue();
            CompletableFuture<Void> call = run.call(() -> bedrock.asyncClient(protocol, bedrock.interceptor)
                    .converseStream(
                            ConverseStreamRequest.builder().modelId("m").build(),
                            ConverseStreamResponseHandler.builder()
                                    .subscriber(event -> {})
                                    .build()));
            assertThatThrownBy(call::join).hasCauseInstanceOf(SdkClientException.class);
            awaitEnd(run);
            bedrock.assertNothingElseBooked();
            assertThat(run.usage().sum().requests()).isZero();
        }
    }

    @Test
    @DisplayName(
            "T18: a model that subscribes to the SDK's on another thread hides the run: it books what the chunks say, and the process what the wire says too")
    void hiddenByAnotherThread() throws Exception {
        try (Bedrock bedrock = new Bedrock(stream("req-1", text(CACHED)))) {
            ChatModel sdk = bedrock.model(Protocol.HTTP2);
            ChatModel hops = new ChatModel() {
                @Override
                public ChatResponse call(Prompt prompt) {
                    return sdk.call(prompt);
                }

                @Override
                public Flux<ChatResponse> stream(Prompt prompt) {
                    return sdk.stream(prompt).subscribeOn(Schedulers.single());
                }
            };

            run.wrap(UsageChatModel.of(hops, bedrock.recorder).stream(PROMPT)).blockLast();

            List<RequestUsage> requests = bedrock.awaitBooked(2);
            assertThat(requests).extracting(RequestUsage::runId).containsExactly(null, "run-1");
            assertThat(requests).extracting(RequestUsage::source).containsOnly(REPORTED);
            assertThat(requests).extracting(RequestUsage::responseId).containsOnly("req-1");
            assertThat(run.usage().sum().requests()).isEqualTo(1);
            assertThat(run.usage().isComplete()).isTrue();
            assertThat(bedrock.recorder.unattributed()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @DisplayName("on a client twice, also as two interceptors, it taps each try of a stream once")
    @EnumSource(Protocol.class)
    void twice(Protocol protocol) throws Exception {
        try (Bedrock bedrock = new Bedrock(throttled("req-1"), stream("req-2", text(CACHED)))) {
            var other = new WireTapExecutionInterceptor(
                    WireTap.builder().recorder(bedrock.recorder).build());
            ChatModel model = Bedrock.model(
                    bedrock.client(), bedrock.asyncClient(protocol, bedrock.interceptor, other, bedrock.interceptor));

            assertThatThrownBy(() -> UsageChatModel.of(model, bedrock.recorder).stream(PROMPT)
                            .blockLast())
                    .isInstanceOf(ThrottlingException.class);

            assertThat(bedrock.awaitBooked(2))
                    .extracting(RequestUsage::responseId)
                    .containsExactly("req-1", "req-2");
            bedrock.assertNothingElseBooked();
            assertThat(bedrock.recorder.processSum().total()).isEqualTo(CACHED_TOKENS);
        }
    }

    @Test
    @DisplayName("on a client twice, also as two interceptors, it taps each try of a call once")
    void twiceOnCall() throws Exception {
        try (Bedrock bedrock = new Bedrock(
                throttled("req-1"), document(200, null, "req-2", converse("{\"text\":\"a\"}", "end_turn", CACHED)))) {
            var other = new WireTapExecutionInterceptor(
                    WireTap.builder().recorder(bedrock.recorder).build());
            ChatModel model = Bedrock.model(
                    bedrock.client(bedrock.interceptor, other, bedrock.interceptor),
                    bedrock.asyncClient(Protocol.HTTP2));

            model.call(PROMPT);

            assertThat(bedrock.awaitBooked(2))
                    .extracting(RequestUsage::responseId)
                    .containsExactly("req-1", "req-2");
            bedrock.assertNothingElseBooked();
            assertThat(bedrock.recorder.processSum().total()).isEqualTo(CACHED_TOKENS);
        }
    }
}
