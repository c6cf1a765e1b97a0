package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageLimit;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** Real clients over HTTP whose models run tools by themselves: rounds that only the wire tap sees before they are sent. */
@DisplayName("The limits of a run")
class LimitsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final BlockingQueue<RequestUsage> booked = new LinkedBlockingQueue<>();
    private final UsageRecorder recorder = UsageRecorder.withSinks(booked::add);
    private final WireTap tap = WireTap.builder().recorder(recorder).build();

    @ParameterizedTest
    @ValueSource(
            strings = {
                "dashscope-tool-loop-stream",
                "dashscope-tool-loop-call",
                "openai-tool-loop-stream",
                "openai-tool-loop-call"
            })
    @DisplayName("stop a hidden round before it is sent, and keep what the one before it was billed")
    void hiddenRound(String name) throws Exception {
        Scenario scenario = Scenarios.load(name);
        for (boolean decorated : List.of(true, false)) {
            try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
                RunScope run = RunScope.start().withLimits(UsageLimits.NONE.withRequests(1));

                UsageLimitExceededException refused = catchThrowableOfType(
                        UsageLimitExceededException.class, () -> ask(provider, scenario, run, decorated));

                assertThat(refused).isNotNull();
                assertThat(refused.limit()).isEqualTo(UsageLimit.REQUESTS);
                assertThat(refused.used()).isEqualTo(1);
                assertThat(provider.requestCount()).isEqualTo(1);
                assertThat(recorder.unattributed()).isZero();
                // The client goes on before the round before has quite ended, so it may be booked a little later.
                RequestUsage before = booked.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
                assertThat(before).isNotNull();
                assertThat(before.usage().inputTokens()).isEqualTo(200);
                assertThat(run.usage().requests()).containsExactly(before);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "dashscope-tool-loop-stream, 2, 201",
        "dashscope-tool-loop-call, 2, 201",
        "openai-tool-loop-stream, 2, 201",
        "openai-tool-loop-call, 2, 201"
    })
    @DisplayName("change nothing for a run that stays within them")
    void within(String name, long requests, long inputTokens) throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            RunScope run = RunScope.start()
                    .withLimits(UsageLimits.NONE.withRequests(requests).withInputTokens(inputTokens));

            ask(provider, scenario, run, true);

            assertThat(provider.requestCount()).isEqualTo(2);
            assertThat(run.usage().total().totalTokens()).isEqualTo(486);
            assertThat(run.usage().isComplete()).isTrue();
        }
    }

    @Test
    @DisplayName("stop an agent before its third round, over the real client")
    void agent() {
        Scenario scenario = Scenarios.load("dashscope-three-rounds-usage-only-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            ReactAgent agent = ReactAgent.builder("weather")
                    .model(DashScopeClient.tapped(provider.baseUrl(), tap))
                    .options(DashScopeChatOptions.builder().model("qwen-plus").build())
                    .tools(tools(scenario))
                    .limits(UsageLimits.NONE.withTotalTokens(18_000))
                    .build();

            NodeFailedException failed = catchThrowableOfType(
                    NodeFailedException.class, () -> agent.stream("上海天气怎么样？").blockLast(PATIENCE));

            assertThat(failed).hasCauseInstanceOf(UsageLimitExceededException.class);
            assertThat(failed.usage().total().totalTokens()).isEqualTo(18_000);
            assertThat(failed.usage().isComplete()).isTrue();
            assertThat(provider.requestCount()).isEqualTo(2);
        }
    }

    private void ask(LoopbackProvider provider, Scenario scenario, RunScope run, boolean decorated) throws Exception {
        ToolCallingChatOptions options;
        ChatModel client;
        if (scenario.name().startsWith("dashscope")) {
            options = DashScopeChatOptions.builder().model("qwen-plus").build();
            client = DashScopeClient.tapped(provider.baseUrl(), tap);
        } else {
            options = OpenAiChatOptions.builder()
                    .model("gpt-4o-mini")
                    .streamUsage(scenario.mode() == Mode.STREAM)
                    .build();
            client = openAi(provider);
        }
        options.setToolCallbacks(List.of(tools(scenario)));
        ChatModel model = decorated ? UsageChatModel.of(client, recorder) : client;
        Prompt prompt = new Prompt(new UserMessage("上海天气怎么样？"), options);
        if (scenario.mode() == Mode.STREAM) {
            run.wrap(model.stream(prompt)).blockLast(PATIENCE);
        } else {
            run.call(() -> model.call(prompt));
        }
    }

    private ChatModel openAi(LoopbackProvider provider) {
        return OpenAiChatModel.builder()
                .openAiApi(OpenAiApi.builder()
                        .baseUrl(provider.baseUrl())
                        .apiKey("none")
                        .webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                        .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)))
                        .build())
                .build();
    }

    private static ToolCallback[] tools(Scenario scenario) {
        return scenario.tools().stream()
                .map(name -> FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                        .description("Answers that all is well.")
                        .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                        .build())
                .toArray(ToolCallback[]::new);
    }
}
