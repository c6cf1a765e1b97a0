package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.reactivestreams.Subscription;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/**
 * Spring AI 1.1.2's clients drop elements for a consumer that is more than 256 behind (loss L10). Here it is as far behind as can
 * be, and the same in every run: it takes its first element when the client has read the last one.
 */
@DisplayName("A consumer that falls behind")
class SlowConsumerTest {

    private static final int WORDS = 2_000;
    private static final int INPUT = 100;
    private static final int PATIENCE_SECONDS = 60;

    /** How far behind a consumer can be before the clients drop elements. */
    private static final int KEPT = 256;

    /** What is between the model and the app. */
    private enum App {
        /** Nothing. */
        DIRECT {
            @Override
            Flux<ChatResponse> over(Flux<ChatResponse> stream) {
                return stream;
            }
        },
        /** A thread of its own. */
        PUBLISH_ON {
            @Override
            Flux<ChatResponse> over(Flux<ChatResponse> stream) {
                return stream.publishOn(Schedulers.boundedElastic());
            }
        };

        abstract Flux<ChatResponse> over(Flux<ChatResponse> stream);
    }

    /** The stock clients that lose elements, and what their provider sends. */
    private enum StockClient {
        DASHSCOPE {
            @Override
            ChatModel model(String baseUrl, WebClient.Builder webClient) {
                DashScopeApi api = DashScopeApi.builder()
                        .baseUrl(baseUrl)
                        .apiKey("none")
                        .webClientBuilder(webClient)
                        .build();
                return DashScopeChatModel.builder().dashScopeApi(api).build();
            }

            @Override
            ToolCallingChatOptions options(List<ToolCallback> tools) {
                DashScopeChatOptions options =
                        DashScopeChatOptions.builder().model("qwen-plus").build();
                options.setToolCallbacks(tools);
                return options;
            }

            @Override
            String word(int output) {
                return frame("{\"content\":\"字%d\",\"role\":\"assistant\"}".formatted(output), "null", output);
            }

            @Override
            String toolCall(int output) {
                return frame(
                        "{\"content\":\"\",\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\","
                                + "\"function\":{\"name\":\"get_weather\",\"arguments\":\"{}\"}}],\"role\":\"assistant\"}",
                        "tool_calls",
                        output);
            }

            @Override
            String end(int output) {
                return frame("{\"content\":\"。\",\"role\":\"assistant\"}", "stop", output) + usageOnly(output);
            }

            @Override
            String usageOnly(int output) {
                return "data:{\"output\":{\"choices\":[]},\"usage\":%s,\"request_id\":\"R1\"}\n\n"
                        .formatted(usage(output));
            }

            private String frame(String message, String finishReason, int output) {
                return ("data:{\"output\":{\"choices\":[{\"message\":%s,\"index\":0,\"finish_reason\":\"%s\"}]},"
                                + "\"usage\":%s,\"request_id\":\"R1\"}\n\n")
                        .formatted(message, finishReason, usage(output));
            }

            private String usage(int output) {
                return "{\"total_tokens\":%d,\"input_tokens\":%d,\"output_tokens\":%d}"
                        .formatted(INPUT + output, INPUT, output);
            }
        },
        OPENAI {
            @Override
            ChatModel model(String baseUrl, WebClient.Builder webClient) {
                OpenAiApi api = OpenAiApi.builder()
                        .baseUrl(baseUrl)
                        .apiKey("none")
                        .webClientBuilder(webClient)
                        .build();
                return OpenAiChatModel.builder().openAiApi(api).build();
            }

            @Override
            ToolCallingChatOptions options(List<ToolCallback> tools) {
                return OpenAiChatOptions.builder()
                        .model("gpt-4o-mini")
                        .streamUsage(true)
                        .toolCallbacks(tools)
                        .build();
            }

            @Override
            String word(int output) {
                return chunk(
                        "[{\"index\":0,\"delta\":{\"content\":\"字%d\"},\"finish_reason\":null}]".formatted(output));
            }

            @Override
            String toolCall(int output) {
                return chunk(
                        "[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\","
                                + "\"function\":{\"name\":\"get_weather\",\"arguments\":\"{}\"}}]},"
                                + "\"finish_reason\":\"tool_calls\"}]");
            }

            @Override
            String end(int output) {
                return chunk("[{\"index\":0,\"delta\":{\"content\":\"。\"},\"finish_reason\":\"stop\"}]")
                        + usageOnly(output);
            }

            @Override
            String usageOnly(int output) {
                String usage = "{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}"
                        .formatted(INPUT, output, INPUT + output);
                return chunk("[]").replace("\"usage\":null", "\"usage\":" + usage) + "data: [DONE]\n\n";
            }

            private String chunk(String choices) {
                return ("data: {\"id\":\"R1\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,"
                                + "\"model\":\"gpt-4o-mini\",\"choices\":%s,\"usage\":null}\n\n")
                        .formatted(choices);
            }
        };

        abstract ChatModel model(String baseUrl, WebClient.Builder webClient);

        abstract ToolCallingChatOptions options(List<ToolCallback> tools);

        /** An event with a word; the output so far is in it where the family reports it. */
        abstract String word(int output);

        /** An event with a whole tool call, which finishes the response. */
        abstract String toolCall(int output);

        /** The events that finish an answer, usage and all. */
        abstract String end(int output);

        /** What follows the event that finishes a response. */
        abstract String usageOnly(int output);

        String words() {
            return IntStream.rangeClosed(1, WORDS).mapToObj(this::word).collect(Collectors.joining());
        }
    }

    @ParameterizedTest
    @EnumSource(StockClient.class)
    @DisplayName("loses elements, no more than without Fluxtally, and has every token booked (D19, O11)")
    void behind(StockClient client) {
        everyTokenBooked(client, App.DIRECT);
    }

    @ParameterizedTest
    @EnumSource(StockClient.class)
    @DisplayName("loses elements behind a plain publishOn too, and has every token booked (D19b, O11b)")
    void behindPublishOn(StockClient client) {
        everyTokenBooked(client, App.PUBLISH_ON);
    }

    private static void everyTokenBooked(StockClient client, App app) {
        String body = client.words() + client.end(WORDS + 1);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(Response.of(body)))) {
            Run stock = new Run(client, app);
            stock.go(provider.baseUrl("stock"), false);
            Run measured = new Run(client, app);
            measured.go(provider.baseUrl("measured"), true);

            assertThat(measured.texts).isEqualTo(stock.texts);
            assertThat(measured.texts).hasSizeGreaterThanOrEqualTo(KEPT).hasSizeLessThan(WORDS);
            measured.assertBooked(WORDS + 1);
        }
    }

    @ParameterizedTest
    @EnumSource(StockClient.class)
    @DisplayName("loses a tool call that a usage-only chunk follows: no second round is run, or billed (D19c, O11c)")
    void lostToolCall(StockClient client) {
        Response round = Response.of(client.words() + client.toolCall(WORDS + 20) + client.usageOnly(WORDS + 20));
        Response answer = Response.of(client.word(1) + client.end(2));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(round, answer))) {
            Run stock = new Run(client, App.DIRECT);
            stock.go(provider.baseUrl("stock"), false);
            Run measured = new Run(client, App.DIRECT);
            measured.go(provider.baseUrl("measured"), true);

            assertThat(stock.toolCalls).hasValue(0);
            assertThat(measured.toolCalls).hasValue(0);
            assertThat(provider.requests("stock")).hasSize(1);
            assertThat(provider.requests("measured")).hasSize(1);
            assertThat(measured.texts).isEqualTo(stock.texts);
            measured.assertBooked(WORDS + 20);
        }
    }

    /** One run of an app that takes nothing before its client has read everything. */
    private static final class Run {

        private final StockClient client;
        private final App app;
        private final RunScope run = RunScope.start();
        private final CompletableFuture<Void> allRead = new CompletableFuture<>();
        private final CompletableFuture<Void> over = new CompletableFuture<>();
        private final AtomicInteger toolCalls = new AtomicInteger();
        private final List<String> texts = new ArrayList<>();

        Run(StockClient client, App app) {
            this.client = client;
            this.app = app;
        }

        void go(String baseUrl, boolean measured) {
            ChatModel model = measured ? measured(baseUrl) : stock(baseUrl);
            Prompt prompt = new Prompt(new UserMessage("上海天气怎么样？"), client.options(List.of(weather())));
            Flux<ChatResponse> stream = measured ? run.wrap(model.stream(prompt)) : model.stream(prompt);
            Behind consumer = new Behind();
            app.over(stream).subscribe(consumer);
            allRead.orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS).join();
            consumer.requestUnbounded();
            over.orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS).join();
        }

        private ChatModel stock(String baseUrl) {
            return client.model(baseUrl, WebClient.builder().filter(tellingWhenAllIsRead()));
        }

        private ChatModel measured(String baseUrl) {
            UsageRecorder recorder = UsageRecorder.withSinks();
            WireTap tap = WireTap.builder().recorder(recorder).build();
            WebClient.Builder webClient =
                    WebClient.builder().filter(tellingWhenAllIsRead()).filter(new WireTapExchangeFilter(tap));
            return UsageChatModel.of(client.model(baseUrl, webClient), recorder);
        }

        private ExchangeFilterFunction tellingWhenAllIsRead() {
            return (request, next) -> next.exchange(request)
                    .map(response -> response.mutate()
                            .body(body -> body.doFinally(signal -> allRead.complete(null)))
                            .build());
        }

        private ToolCallback weather() {
            return FunctionToolCallback.builder(
                            "get_weather", (Map<String, Object> input) -> toolCalls.incrementAndGet())
                    .description("Counts its calls.")
                    .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                    .build();
        }

        void assertBooked(int output) {
            assertThat(run.usage().requests()).singleElement().satisfies(request -> {
                assertThat(request.usage()).isEqualTo(TokenUsage.of(INPUT, output));
                assertThat(request)
                        .extracting(RequestUsage::source, RequestUsage::outcome)
                        .containsExactly(UsageSource.REPORTED, RequestOutcome.COMPLETED);
            });
        }

        private final class Behind extends BaseSubscriber<ChatResponse> {

            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                // Nothing is asked for yet.
            }

            @Override
            protected void hookOnNext(ChatResponse response) {
                Generation result = response.getResult();
                texts.add(String.valueOf(
                        result == null ? null : result.getOutput().getText()));
            }

            @Override
            protected void hookOnComplete() {
                over.complete(null);
            }

            @Override
            protected void hookOnError(Throwable error) {
                over.completeExceptionally(error);
            }
        }
    }
}
