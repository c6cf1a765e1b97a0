package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.chat.UsageEstimator;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tokenizer.JTokkitTokenCountEstimator;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;

/** An app that leaves its stream before the usage has come, with the real clients. */
@Tag("every-spring-ai")
@DisplayName("An app that leaves (T7)")
class LeavingTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final WireTap DRAINING =
            WireTap.builder().drain(Drain.upTo(PATIENCE, 1_000_000)).build();

    private final RunScope run = RunScope.start();

    @Test
    @DisplayName("reads the whole bill of OpenAI's response once it is drained")
    void openAi() {
        try (LoopbackProvider provider = slow("openai-plain-stream")) {
            run.wrap(UsageChatModel.of(openAi(provider, DRAINING)).stream(prompt()))
                    .take(2)
                    .blockLast(PATIENCE);

            RunUsage usage = settled();
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.total().inputTokens()).isEqualTo(24);
            assertThat(usage.total().outputTokens()).isEqualTo(7);
            assertThat(usage.requests()).hasSize(1);
        }
    }

    @Test
    @DisplayName("reads the whole bill of DashScope's response once it is drained")
    void dashScope() {
        try (LoopbackProvider provider = slow("dashscope-plain-stream")) {
            run.wrap(DashScopeClient.tapped(provider.baseUrl(), DRAINING).stream(new Prompt("上海天气怎么样？")))
                    .take(2)
                    .blockLast(PATIENCE);

            RunUsage usage = settled();
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.total().inputTokens()).isEqualTo(26);
            assertThat(usage.total().outputTokens()).isEqualTo(8);
        }
    }

    @Test
    @DisplayName("starts no further round: the response is drained below the model, which runs no tool for it")
    void noFurtherRound() {
        try (LoopbackProvider provider = slow("openai-tool-loop-stream")) {
            Disposable app = run.wrap(UsageChatModel.of(openAi(provider, DRAINING)).stream(prompt()))
                    .subscribe();
            provider.request(0).join();
            app.dispose();

            RunUsage usage = settled();
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.total().inputTokens()).isEqualTo(200);
            assertThat(usage.total().outputTokens()).isEqualTo(20);
            assertThat(provider.requestCount()).isEqualTo(1);
        }
    }

    @Test
    @DisplayName("reads an estimate, graded as one, where nothing was reported, with the wire tap and without")
    void estimated() {
        UsageEstimator estimator = UsageEstimator.counting(new JTokkitTokenCountEstimator());
        for (WireTap tap : new WireTap[] {WireTap.create(), null}) {
            try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-cancel-stream"))) {
                RunScope own = RunScope.start();
                own.wrap(UsageChatModel.of(openAi(provider, tap)).estimating(estimator).stream(prompt()))
                        .take(3)
                        .blockLast(PATIENCE);

                RequestUsage request = own.usage().requests().get(0);
                assertThat(own.usage().requests()).hasSize(1);
                assertThat(request.source()).isEqualTo(UsageSource.ESTIMATED);
                assertThat(request.usage().inputTokens()).isPositive();
                assertThat(request.usage().outputTokens()).isPositive();
                assertThat(own.usage().isComplete()).isFalse();
            }
        }
    }

    private RunUsage settled() {
        return Flux.interval(Duration.ZERO, Duration.ofMillis(1))
                .map(tick -> run.usage())
                .filter(usage -> usage.inFlight() == 0)
                .blockFirst(PATIENCE);
    }

    /** A provider that writes event by event, so that the app can leave in between. */
    private static LoopbackProvider slow(String scenario) {
        return LoopbackProvider.builder().eventDelay(Duration.ofMillis(20)).start(Scenarios.load(scenario));
    }

    private static Prompt prompt() {
        return new Prompt(
                "How is the weather?",
                OpenAiChatOptions.builder()
                        .model("gpt-4o-mini")
                        .streamUsage(true)
                        .toolCallbacks(FunctionToolCallback.builder(
                                        "get_weather", (Map<String, Object> input) -> Map.of("ok", true))
                                .description("Answers that all is well.")
                                .inputType(Map.class)
                                .build())
                        .build());
    }

    private static ChatModel openAi(LoopbackProvider provider, WireTap tap) {
        OpenAiApi.Builder api = OpenAiApi.builder().baseUrl(provider.baseUrl()).apiKey("none");
        if (tap != null) {
            api.webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                    .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)));
        }
        return OpenAiChatModel.builder().openAiApi(api.build()).build();
    }
}
