package io.fluxtally.usage.wire;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiCall;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.JSON;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.TransientAiException;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.ClientHttpResponse;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.client.DefaultResponseErrorHandler;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

/** The wire tap below a model, {@code UsageChatModel} above it: one request, one booking, the wire's figure. */
class ModelCallOnTheWireTest {

    private static final Duration GENEROUS = Duration.ofSeconds(60);

    private final TapUnderTest tap = TapUnderTest.create();
    private Loopback server;

    @BeforeEach
    void start() {
        server = Loopback.start();
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private WebClient.Builder webClient() {
        return WebClient.builder().baseUrl(server.url()).filter(new WireTapExchangeFilter(tap.tap()));
    }

    private RestClient.Builder restClient() {
        return RestClient.builder()
                .baseUrl(server.url())
                .requestFactory(new SimpleClientHttpRequestFactory())
                .requestInterceptor(new WireTapInterceptor(tap.tap()));
    }

    /** A model that asks over HTTP and reports a figure of its own, which is wrong. */
    private final class ScriptedModel implements ChatModel {

        @Override
        public ChatResponse call(Prompt prompt) {
            return wrong(
                    restClient().build().post().uri(DASHSCOPE_PATH).retrieve().body(String.class));
        }

        @Override
        public Flux<ChatResponse> stream(Prompt prompt) {
            return webClient()
                    .build()
                    .post()
                    .uri(DASHSCOPE_PATH)
                    .header("X-DashScope-SSE", "enable")
                    .retrieve()
                    .bodyToFlux(String.class)
                    .map(ScriptedModel::wrong);
        }

        private static ChatResponse wrong(String text) {
            return new ChatResponse(
                    List.of(new Generation(new AssistantMessage(text))),
                    ChatResponseMetadata.builder().usage(new DefaultUsage(1, 1)).build());
        }
    }

    @Test
    @DisplayName("T4: in a stream the wire's figure wins over the chunk's, and is booked once")
    void theWireWinsInAStream() {
        server.on(
                DASHSCOPE_PATH,
                Loopback.document(
                        200,
                        EVENTS,
                        dashScopeEvents(
                                dashScope("a", "null", tokens(100, 1)), dashScope("b", "stop", tokens(100, 8)))));
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(new ScriptedModel(), tap.recorder()).stream(new Prompt("q")))
                .blockLast(GENEROUS);

        assertThat(run.usage().requests()).containsExactly(tap.only());
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(100, 8));
        assertThat(run.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("T4: in a call the wire's figure wins over the response's, and is booked once")
    void theWireWinsInACall() throws Exception {
        server.on(DASHSCOPE_PATH, Loopback.document(200, JSON, dashScope("b", "stop", tokens(100, 8))));
        RunScope run = RunScope.start();

        run.call(() -> UsageChatModel.of(new ScriptedModel(), tap.recorder()).call(new Prompt("q")));

        assertThat(run.usage().requests()).containsExactly(tap.only());
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(100, 8));
    }

    @Test
    @DisplayName("T7: a stream that the app leaves is booked once, when it is left")
    void theAppLeaves() throws Exception {
        CountDownLatch left = new CountDownLatch(1);
        server.on(
                DASHSCOPE_PATH,
                Loopback.hanging(EVENTS, Flux.just(dashScopeEvents(dashScope("a", "null", tokens(100, 3)))), left));
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(new ScriptedModel(), tap.recorder()).stream(new Prompt("q")))
                .take(1)
                .blockLast(GENEROUS);

        RequestUsage request = tap.only();
        assertThat(request.outcome()).isEqualTo(CANCELLED);
        assertThat(request.usage()).isEqualTo(TokenUsage.of(100, 3));
        assertThat(run.usage().requests()).containsExactly(request);
        assertThat(left.await(60, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    @DisplayName(
            "T8: a try that was refused and the one that follows are two requests of one call, the second attempt 2")
    void retryInAStream() {
        AtomicInteger tries = new AtomicInteger();
        server.on(
                DASHSCOPE_PATH,
                (request, response) -> tries.getAndIncrement() == 0
                        ? Loopback.document(429, JSON, "{\"code\":\"Throttling\",\"message\":\"no\"}")
                                .to(request, response)
                        : Loopback.document(200, EVENTS, dashScopeEvents(dashScope("b", "stop", tokens(100, 8))))
                                .to(request, response));
        ChatModel scripted = new ScriptedModel();
        ChatModel retrying = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                throw new UnsupportedOperationException();
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return scripted.stream(prompt).retryWhen(Retry.max(1));
            }
        };
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(retrying, tap.recorder()).stream(new Prompt("q")))
                .blockLast(GENEROUS);

        List<RequestUsage> requests = run.usage().requests();
        assertThat(requests).extracting(RequestUsage::outcome).containsExactly(REJECTED, COMPLETED);
        assertThat(requests).extracting(RequestUsage::attempt).containsExactly(1, 2);
        assertThat(requests).extracting(RequestUsage::round).containsExactly(1, 1);
        assertThat(requests).extracting(RequestUsage::callId).doesNotContainNull();
        assertThat(requests.get(0).callId()).isEqualTo(requests.get(1).callId());
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(100, 8));
        assertThat(run.usage().isComplete()).isTrue();
    }

    private OpenAiChatModel model(OpenAiChatOptions options) {
        OpenAiApi api = OpenAiApi.builder()
                .baseUrl(server.url())
                .apiKey("none")
                .restClientBuilder(restClient())
                .webClientBuilder(webClient())
                .responseErrorHandler(new DefaultResponseErrorHandler() {
                    @Override
                    public void handleError(URI url, HttpMethod method, ClientHttpResponse response) {
                        throw new TransientAiException("try again");
                    }
                })
                .build();
        return OpenAiChatModel.builder()
                .openAiApi(api)
                .defaultOptions(options)
                .retryTemplate(RetryTemplate.builder()
                        .maxAttempts(3)
                        .noBackoff()
                        .retryOn(TransientAiException.class)
                        .build())
                .build();
    }

    @Test
    @DisplayName("OpenAiChatModel 1.1.2, streamed: the call's usage-only chunk is booked once")
    void openAiStream() {
        server.on(
                OPENAI_PATH,
                Loopback.document(
                        200,
                        EVENTS,
                        events(
                                openAi("a", "null"),
                                openAi("b", "null"),
                                openAiFinish("null"),
                                openAiUsageOnly(promptTokens(24, 13)),
                                "[DONE]")));
        OpenAiChatModel model = model(
                OpenAiChatOptions.builder().model("gpt-asked").streamUsage(true).build());
        RunScope run = RunScope.start();

        List<ChatResponse> chunks = run.wrap(UsageChatModel.of(model, tap.recorder()).stream(new Prompt("q")))
                .collectList()
                .block(GENEROUS);

        assertThat(chunks).isNotEmpty();
        RequestUsage request = tap.only();
        assertThat(run.usage().requests()).containsExactly(request);
        assertThat(request.usage()).isEqualTo(TokenUsage.of(24, 13));
        assertThat(request.source()).isEqualTo(REPORTED);
        assertThat(request.outcome()).isEqualTo(COMPLETED);
        assertThat(request.requestModel()).isEqualTo("gpt-asked");
        assertThat(request.responseModel()).isEqualTo("gpt-x");
        assertThat(request.responseId()).isEqualTo("chatcmpl-1");
    }

    @Test
    @DisplayName("T14: OpenAiChatModel 1.1.2, streamed without usage: completed and missing")
    void openAiStreamWithoutUsage() {
        server.on(
                OPENAI_PATH,
                Loopback.document(200, EVENTS, events(openAi("a", "null"), openAiFinish("null"), "[DONE]")));
        OpenAiChatModel model =
                model(OpenAiChatOptions.builder().model("gpt-asked").build());
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(model, tap.recorder()).stream(new Prompt("q")))
                .blockLast(GENEROUS);

        assertThat(tap.only().source()).isEqualTo(MISSING);
        assertThat(run.usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("OpenAiChatModel 1.1.2, called: a 429 and its retry are two requests, attempt 1 and 2")
    void openAiCallWithRetry() throws Exception {
        AtomicInteger tries = new AtomicInteger();
        server.on(
                OPENAI_PATH,
                (request, response) -> Loopback.document(
                                tries.getAndIncrement() == 0 ? 429 : 200,
                                JSON,
                                tries.get() == 1 ? "{\"error\":{}}" : openAiCall(promptTokens(100, 8)))
                        .to(request, response));
        OpenAiChatModel model =
                model(OpenAiChatOptions.builder().model("gpt-asked").build());
        RunScope run = RunScope.start();

        run.call(() -> UsageChatModel.of(model, tap.recorder()).call(new Prompt("q")));

        List<RequestUsage> requests = run.usage().requests();
        assertThat(requests).extracting(RequestUsage::outcome).containsExactly(REJECTED, COMPLETED);
        assertThat(requests).extracting(RequestUsage::attempt).containsExactly(1, 2);
        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(100, 8));
        assertThat(run.usage().isComplete()).isTrue();
    }

    private static final TokenUsage TWO_ROUNDS = TokenUsage.builder()
            .inputTokens(460)
            .outputTokens(26)
            .part(TokenPart.CACHE_READ_INPUT, 320)
            .part(TokenPart.REASONING_OUTPUT, 4)
            .build();

    private static final String ROUND_1 = """
            {"prompt_tokens":200,"completion_tokens":20,"total_tokens":220,"prompt_tokens_details":{"cached_tokens":128},"completion_tokens_details":{"reasoning_tokens":4}}""";
    private static final String ROUND_2 = """
            {"prompt_tokens":260,"completion_tokens":6,"total_tokens":266,"prompt_tokens_details":{"cached_tokens":192},"completion_tokens_details":{"reasoning_tokens":0}}""";
    private static final String TOOL_CALLS = """
            "tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":"{}"}}]""";

    /** A tool that answers when the given has happened. */
    private static ToolCallback weather(CountDownLatch when) {
        return FunctionToolCallback.builder("weather", (Weather question) -> {
                    try {
                        assertThat(when.await(60, TimeUnit.SECONDS)).isTrue();
                    } catch (InterruptedException interrupted) {
                        Thread.currentThread().interrupt();
                    }
                    return "sunny";
                })
                .inputType(Weather.class)
                .build();
    }

    record Weather(String city) {}

    private static OpenAiChatOptions withTool(CountDownLatch when) {
        return OpenAiChatOptions.builder()
                .model("gpt-asked")
                .streamUsage(true)
                .toolCallbacks(weather(when))
                .build();
    }

    private static boolean isSecondRound(String requestBody) {
        return requestBody.contains("\"role\":\"tool\"");
    }

    private static String streamOfRound1() {
        return events(
                openAi(0, "{\"role\":\"assistant\",\"content\":null," + TOOL_CALLS + "}", "null", "null"),
                openAi(0, "{}", "\"tool_calls\"", "null"),
                openAiUsageOnly(ROUND_1));
    }

    private static String streamOfRound2() {
        return events(openAi("sunny", "null"), openAiFinish("null"), openAiUsageOnly(ROUND_2), "[DONE]")
                .replace("chatcmpl-1", "chatcmpl-2");
    }

    private void assertTwoRounds(RunScope run) {
        List<RequestUsage> requests = run.usage().requests();
        assertThat(requests).hasSize(2).isEqualTo(tap.drain());
        assertThat(run.usage().total()).isEqualTo(TWO_ROUNDS);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(run.usage().byRound().keySet()).containsExactlyInAnyOrder(1, 2);
        assertThat(run.usage().byRound().get(1).total().inputTokens()).isEqualTo(200);
        assertThat(run.usage().byRound().get(2).total().inputTokens()).isEqualTo(260);
        assertThat(requests).extracting(RequestUsage::attempt).containsExactly(1, 1);
        assertThat(requests.get(0).callId())
                .isNotNull()
                .isEqualTo(requests.get(1).callId());
    }

    @Test
    @DisplayName("T3, T6: OpenAiChatModel 1.1.2, streamed tool loop: both rounds, 460/26 with their parts")
    void toolLoopInAStream() {
        CountDownLatch firstRoundBooked = new CountDownLatch(1);
        server.on(
                OPENAI_PATH,
                (request, response) -> Loopback.document(
                                200,
                                EVENTS,
                                isSecondRound(request) ? streamOfRound2() : streamOfRound1() + events("[DONE]"))
                        .to(request, response));
        RunScope run = RunScope.start();
        OpenAiChatModel model = model(withTool(firstRoundBooked));

        // The tool runs on another thread while the first response ends: it waits until that was booked.
        tap.onBooked(firstRoundBooked::countDown);
        run.wrap(UsageChatModel.of(model, tap.recorder()).stream(new Prompt("q")))
                .blockLast(GENEROUS);

        assertTwoRounds(run);
    }

    @Test
    @DisplayName("T3: OpenAiChatModel 1.1.2, streamed tool loop: a second round before the first response has ended")
    void toolLoopWhoseRoundsOverlap() {
        CountDownLatch secondRoundCame = new CountDownLatch(1);
        server.on(OPENAI_PATH, (request, response) -> {
            if (isSecondRound(request)) {
                secondRoundCame.countDown();
                return Loopback.document(200, EVENTS, streamOfRound2()).to(request, response);
            }
            Mono<String> end = Mono.fromCallable(() -> {
                        assertThat(secondRoundCame.await(60, TimeUnit.SECONDS)).isTrue();
                        return events("[DONE]");
                    })
                    .subscribeOn(Schedulers.boundedElastic());
            return Loopback.parts(EVENTS, Flux.concat(Flux.just(streamOfRound1()), end))
                    .to(request, response);
        });
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(model(withTool(new CountDownLatch(0))), tap.recorder()).stream(new Prompt("q")))
                .blockLast(GENEROUS);

        assertThat(run.usage().requests()).hasSize(2);
        assertThat(run.usage().total()).isEqualTo(TWO_ROUNDS);
        assertThat(run.usage().isComplete()).isTrue();
        assertThat(run.usage().byRound().keySet()).containsExactlyInAnyOrder(1, 2);
    }

    @Test
    @DisplayName("T3, T6: OpenAiChatModel 1.1.2, called tool loop: both rounds, 460/26 with their parts")
    void toolLoopInACall() throws Exception {
        server.on(
                OPENAI_PATH,
                (request, response) -> Loopback.document(
                                200,
                                JSON,
                                isSecondRound(request)
                                        ? openAiCall(ROUND_2).replace("chatcmpl-1", "chatcmpl-2")
                                        : openAiCall(ROUND_1)
                                                .replace("\"content\":\"ab\"", "\"content\":null," + TOOL_CALLS)
                                                .replace("\"stop\"", "\"tool_calls\""))
                        .to(request, response));
        RunScope run = RunScope.start();

        run.call(() -> UsageChatModel.of(model(withTool(new CountDownLatch(0))), tap.recorder())
                .call(new Prompt("q")));

        assertTwoRounds(run);
    }
}
