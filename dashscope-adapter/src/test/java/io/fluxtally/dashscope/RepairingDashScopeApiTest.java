package io.fluxtally.dashscope;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.lang.reflect.Type;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.SimpleApiKey;
import org.springframework.http.HttpInputMessage;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.json.MappingJackson2HttpMessageConverter;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/** Over real HTTP; D11 and D12 are the names of these losses in the lab that found them. */
@DisplayName("an api that repairs usage")
@Timeout(60)
class RepairingDashScopeApiTest {

    private static final String ID = "82c19918-521d-5d4c-a310-5c5a6b02f7d1";
    private static final String DETAILS_ONLY =
            "{\"output_tokens_details\":{\"text_tokens\":6},\"input_tokens_details\":{\"text_tokens\":16},\"seconds\":1}";
    private static final String SOUND =
            "{\"total_tokens\":2943,\"input_tokens\":2940,\"output_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":64}}";

    private final AtomicReference<String> body = new AtomicReference<>();
    private final AtomicReference<String> contentType = new AtomicReference<>();
    private DisposableServer provider;

    @BeforeEach
    void start() {
        provider = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .handle((request, response) -> request.receive()
                        .then(response.header("Content-Type", contentType.get())
                                .header("X-Request-Id", ID)
                                .sendString(Mono.just(body.get()))
                                .then()))
                .bindNow();
    }

    @AfterEach
    void stop() {
        provider.disposeNow(Duration.ofSeconds(10));
    }

    private String baseUrl() {
        return "http://127.0.0.1:" + provider.port();
    }

    private DashScopeApi stock() {
        return DashScopeApi.builder().baseUrl(baseUrl()).apiKey("none").build();
    }

    private DashScopeApi repairing() {
        return RepairingDashScopeApi.of(baseUrl(), new SimpleApiKey("none"), RestClient.builder(), WebClient.builder());
    }

    private static DashScopeChatModel model(DashScopeApi api) {
        return DashScopeChatModel.builder()
                .dashScopeApi(api)
                .defaultOptions(
                        DashScopeChatOptions.builder().model("qwen-plus").build())
                .retryTemplate(RetryTemplate.builder().maxAttempts(1).build())
                .build();
    }

    private static String frame(String content, String finishReason, String usage) {
        return "data:{\"output\":{\"choices\":[{\"message\":{\"content\":\"%s\",\"role\":\"assistant\"},\"index\":0,\"finish_reason\":\"%s\"}]},\"usage\":%s,\"request_id\":\"%s\"}\n\n"
                .formatted(content, finishReason, usage, ID);
    }

    private void streams(String... frames) {
        contentType.set("text/event-stream;charset=UTF-8");
        body.set(String.join("", frames));
    }

    private void answers(String usage) {
        contentType.set("application/json");
        body.set(
                "{\"output\":{\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"message\":{\"content\":\"Rain.\",\"role\":\"assistant\"}}]},\"usage\":%s,\"request_id\":\"%s\"}"
                        .formatted(usage, ID));
    }

    private static List<ChatResponse> stream(DashScopeApi api) {
        return model(api).stream(new Prompt("Rain?")).collectList().block();
    }

    private static String text(List<ChatResponse> chunks) {
        return chunks.stream()
                .flatMap(chunk -> chunk.getResults().stream())
                .map(generation -> generation.getOutput().getText())
                .collect(Collectors.joining());
    }

    private static TokenUsage lastUsage(List<ChatResponse> chunks) {
        return chunks.stream()
                .map(chunk -> ChatUsage.tokensOf(chunk.getMetadata().getUsage()))
                .filter(usage -> usage != null)
                .reduce((first, second) -> second)
                .orElseThrow();
    }

    private void streamsSearch() {
        streams(frame("", "null", "{}"), frame("Ra", "null", SOUND), frame("in.", "stop", SOUND));
    }

    private void streamsSpeech() {
        streams(frame("Ra", "null", DETAILS_ONLY), frame("in.", "stop", DETAILS_ONLY));
    }

    @Test
    @DisplayName("is needed: the stock one fails the stream on an empty usage (D11)")
    void stockDiesOnEmptyUsage() {
        streamsSearch();

        assertThatNullPointerException().isThrownBy(() -> stream(stock()));
    }

    @Test
    @DisplayName("streams the whole answer past an empty usage (D11), and the final figures are read")
    void repairsEmptyUsage() {
        streamsSearch();

        List<ChatResponse> chunks = stream(repairing());

        assertThat(text(chunks)).isEqualTo("Rain.");
        assertThat(lastUsage(chunks))
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(2940)
                        .outputTokens(3)
                        .part(TokenPart.CACHE_READ_INPUT, 64)
                        .build());
    }

    @Test
    @DisplayName(
            "is needed: the stock one fails the stream on a usage of details alone, and whoever reads that of a call (D12)")
    void stockDiesOnDetailsOnly() {
        streamsSpeech();
        assertThatNullPointerException().isThrownBy(() -> stream(stock()));

        answers(DETAILS_ONLY);
        Usage usage = model(stock()).call(new Prompt("Rain?")).getMetadata().getUsage();
        assertThatNullPointerException().isThrownBy(usage::getTotalTokens);
    }

    @Test
    @DisplayName("streams an answer with a usage of details alone (D12), and has the counts that they add up to")
    void repairsDetailsOnlyStream() {
        streamsSpeech();

        List<ChatResponse> chunks = stream(repairing());

        assertThat(text(chunks)).isEqualTo("Rain.");
        assertThat(lastUsage(chunks).inputTokens()).isEqualTo(16);
        assertThat(lastUsage(chunks).outputTokens()).isEqualTo(6);
        assertThat(lastUsage(chunks).part(TokenPart.TEXT_INPUT)).hasValue(16);
    }

    @Test
    @DisplayName("answers a call with a usage of details alone (D12), and has the counts that they add up to")
    void repairsDetailsOnlyCall() {
        answers(DETAILS_ONLY);

        ChatResponse response = model(repairing()).call(new Prompt("Rain?"));

        assertThat(response.getResult().getOutput().getText()).isEqualTo("Rain.");
        assertThat(response.getMetadata().getUsage().getPromptTokens()).isEqualTo(16);
        assertThat(response.getMetadata().getUsage().getCompletionTokens()).isEqualTo(6);
        assertThat(response.getMetadata().getUsage().getTotalTokens()).isEqualTo(22);
    }

    @Test
    @DisplayName("answers a call with an empty usage")
    void repairsEmptyUsageCall() {
        answers("{}");

        ChatResponse response = model(repairing()).call(new Prompt("Rain?"));

        assertThat(response.getResult().getOutput().getText()).isEqualTo("Rain.");
        assertThat(ChatUsage.tokensOf(response.getMetadata().getUsage())).isNull();
    }

    @Test
    @DisplayName("makes a decorated model's run complete where the stock one loses it")
    void measured() {
        UsageRecorder recorder = UsageRecorder.withSinks();
        RunScope run = RunScope.start();
        streamsSearch();

        run.wrap(UsageChatModel.of(model(repairing()), recorder).stream(new Prompt("Rain?")))
                .blockLast();

        assertThat(run.usage().requests()).singleElement().satisfies(request -> {
            assertThat(request.source()).isEqualTo(UsageSource.REPORTED);
            assertThat(request.usage().totalTokens()).isEqualTo(2943);
            assertThat(request.requestModel()).isEqualTo("qwen-plus");
        });
    }

    @Test
    @DisplayName("streams what the stock one streams where the usage is sound or absent")
    void soundStream() {
        streams(frame("Ra", "null", "null"), frame("in.", "stop", SOUND));

        assertThat(chunks(repairing())).isEqualTo(chunks(stock())).hasSize(2);
    }

    private static List<DashScopeApiSpec.ChatCompletionChunk> chunks(DashScopeApi api) {
        return api.chatCompletionStream(request(true), new LinkedMultiValueMap<>())
                .collectList()
                .block();
    }

    private static DashScopeApiSpec.ChatCompletionRequest request(boolean stream) {
        return new DashScopeApiSpec.ChatCompletionRequest(
                "qwen-plus", new DashScopeApiSpec.ChatCompletionRequestInput(List.of()), stream);
    }

    @Test
    @DisplayName("passes the very object on that was read where its usage is sound or absent")
    void sameObject() {
        answers(SOUND);
        for (DashScopeApiSpec.TokenUsage usage :
                Arrays.asList(null, NativeUsage.of(2940, 3, 2943).build())) {
            DashScopeApiSpec.ChatCompletion read = new DashScopeApiSpec.ChatCompletion(ID, null, usage);

            assertThat(apiThatReads(read)
                            .chatCompletionEntity(request(false), new LinkedMultiValueMap<>())
                            .getBody())
                    .isSameAs(read);
        }
    }

    @Test
    @DisplayName("changes nothing of a response but its usage: status, headers, id and output stay")
    void restStays() {
        answers(DETAILS_ONLY);

        ResponseEntity<DashScopeApiSpec.ChatCompletion> repaired =
                repairing().chatCompletionEntity(request(false), new LinkedMultiValueMap<>());
        ResponseEntity<DashScopeApiSpec.ChatCompletion> read =
                stock().chatCompletionEntity(request(false), new LinkedMultiValueMap<>());

        assertThat(repaired.getStatusCode()).isEqualTo(HttpStatus.OK);
        assertThat(repaired.getHeaders().getFirst("X-Request-Id")).isEqualTo(ID);
        assertThat(repaired.getBody().requestId()).isEqualTo(ID);
        assertThat(repaired.getBody().output()).isEqualTo(read.getBody().output());
        assertThat(repaired.getBody().usage())
                .isEqualTo(new DashScopeApiSpec.TokenUsage(
                        6,
                        16,
                        22,
                        null,
                        null,
                        null,
                        1,
                        read.getBody().usage().inputTokensDetails(),
                        read.getBody().usage().outputTokensDetails(),
                        null));
    }

    /** An api whose client reads the given object whatever the provider says, so that it can be told from a copy. */
    private DashScopeApi apiThatReads(DashScopeApiSpec.ChatCompletion completion) {
        MappingJackson2HttpMessageConverter converter = new MappingJackson2HttpMessageConverter() {
            @Override
            public Object read(Type type, Class<?> contextClass, HttpInputMessage message) {
                return completion;
            }

            @Override
            protected Object readInternal(Class<?> type, HttpInputMessage message) {
                return completion;
            }
        };
        return RepairingDashScopeApi.of(
                baseUrl(),
                new SimpleApiKey("none"),
                RestClient.builder().messageConverters(converters -> converters.add(0, converter)),
                WebClient.builder());
    }
}
