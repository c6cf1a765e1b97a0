package io.fluxtally.boot.observation;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.http.WireTapAutoConfiguration;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.micrometer.observation.ObservationRegistry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.boot.actuate.autoconfigure.observation.ObservationAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.observation.web.client.HttpClientObservationsAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.opentelemetry.OpenTelemetryAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.tracing.MicrometerTracingAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.tracing.OpenTelemetryTracingAutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.web.client.RestClientAutoConfiguration;
import org.springframework.boot.autoconfigure.web.reactive.function.client.ClientHttpConnectorAutoConfiguration;
import org.springframework.boot.autoconfigure.web.reactive.function.client.WebClientAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;

@DisplayName("The spans of a run, as OpenTelemetry exports them")
class SpansTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** The figures of a model's span, and of the run's. */
    private static final Map<String, String> SAME = Map.of(
            "gen_ai.usage.input_tokens", "fluxtally.run.usage.input_tokens",
            "gen_ai.usage.output_tokens", "fluxtally.run.usage.output_tokens",
            "gen_ai.usage.total_tokens", "fluxtally.run.usage.total_tokens",
            "gen_ai.usage.cache_read.input_tokens", "fluxtally.run.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens", "fluxtally.run.usage.cache_creation.input_tokens",
            "fluxtally.usage.reasoning.output_tokens", "fluxtally.run.usage.reasoning.output_tokens",
            "fluxtally.usage.requests", "fluxtally.run.requests",
            "fluxtally.usage.unreported", "fluxtally.run.unreported");

    private final ApplicationContextRunner app = new ApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(
                    ObservationAutoConfiguration.class,
                    OpenTelemetryAutoConfiguration.class,
                    OpenTelemetryTracingAutoConfiguration.class,
                    MicrometerTracingAutoConfiguration.class,
                    HttpClientObservationsAutoConfiguration.class,
                    ClientHttpConnectorAutoConfiguration.class,
                    WebClientAutoConfiguration.class,
                    RestClientAutoConfiguration.class,
                    FluxtallyAutoConfiguration.class,
                    WireTapAutoConfiguration.class,
                    UsageObservationAutoConfiguration.class))
            .withUserConfiguration(Exporting.class)
            .withPropertyValues("management.tracing.sampling.probability=1.0");

    @Configuration(proxyBeanMethods = false)
    static class Exporting {

        @Bean
        InMemorySpanExporter exporter() {
            return InMemorySpanExporter.create();
        }

        @Bean
        SpanProcessor processor(InMemorySpanExporter exporter) {
            return SimpleSpanProcessor.create(exporter);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "openai-three-loops-stream, 4",
        "openai-three-loops-call, 4",
        "dashscope-three-loops-stream, 4",
        "dashscope-three-loops-call, 4",
        "openai-xai-reasoning-beside-output-stream, 1",
        "openai-cache-write-and-audio-call, 1"
    })
    @DisplayName("show both numbers: those of the models add up, field by field, to the run's, which is the bill")
    void bothNumbers(String name, int models) {
        Scenario scenario = Scenarios.load(name);
        app.run(context -> {
            List<SpanData> spans = run(context, scenario, models);

            SpanData run = run(spans);
            assertThat(value(run, "fluxtally.run.complete")).isEqualTo("true");
            assertThat(figure(run, "fluxtally.run.usage.input_tokens"))
                    .isEqualTo(scenario.billed().total().get(TokenKey.INPUT_TOKENS));
            assertThat(figure(run, "fluxtally.run.usage.output_tokens"))
                    .isEqualTo(scenario.billed().total().get(TokenKey.OUTPUT_TOKENS));
            addUp(spans);
        });
    }

    @ParameterizedTest
    @CsvSource({
        "dashscope-hang-cancel-stream, 1",
        "openai-cancel-stream, 1",
        "dashscope-tool-loop-reset-second-round-stream, 2",
        "openai-rate-limit-call, 1"
    })
    @DisplayName("add up as well where the app left or the provider failed, and say that it is not all (T7)")
    void incomplete(String name, int models) {
        Scenario scenario = Scenarios.load(name);
        app.run(context -> {
            List<SpanData> spans = run(context, scenario, models);

            assertThat(value(run(spans), "fluxtally.run.complete"))
                    .isEqualTo(Boolean.toString(scenario.billed().complete()));
            addUp(spans);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"openai-three-loops-stream", "dashscope-three-loops-call"})
    @DisplayName("add up as well where HTTP clients are not observed")
    void httpSwitchedOff(String name) {
        app.withPropertyValues("management.observations.enable.http.client.requests=false")
                .run(context -> {
                    List<SpanData> spans = run(context, Scenarios.load(name), 4);

                    assertThat(spans).noneMatch(span -> span.getName().startsWith("http"));
                    addUp(spans);
                });
    }

    @Test
    @DisplayName("name reasoning as OpenTelemetry does, if a property says so")
    void otelNames() {
        app.withPropertyValues("fluxtally.observations.naming=otel").run(context -> {
            List<SpanData> spans = run(context, Scenarios.load("openai-xai-reasoning-beside-output-stream"), 1);

            assertThat(sum(models(spans), "gen_ai.usage.reasoning.output_tokens"))
                    .isNotEmpty()
                    .isEqualTo(figure(run(spans), "fluxtally.run.usage.reasoning.output_tokens"));
        });
    }

    @Test
    @DisplayName("hang below the run's, in one trace")
    void oneTrace() {
        app.run(context -> {
            List<SpanData> spans = run(context, Scenarios.load("openai-three-loops-stream"), 4);

            SpanData run = run(spans);
            Map<String, SpanData> byId =
                    spans.stream().collect(Collectors.toMap(SpanData::getSpanId, Function.identity()));
            assertThat(spans).allMatch(span -> span.getTraceId().equals(run.getTraceId()));
            for (SpanData model : models(spans)) {
                SpanData top = model;
                while (byId.containsKey(top.getParentSpanId())) {
                    top = byId.get(top.getParentSpanId());
                }
                assertThat(top).isSameAs(run);
            }
        });
    }

    private static void addUp(List<SpanData> spans) {
        SpanData run = run(spans);
        SAME.forEach((ofModel, ofRun) ->
                assertThat(sum(models(spans), ofModel)).as(ofModel).isEqualTo(figure(run, ofRun)));
    }

    /** Runs a scenario in a run, and returns the spans once those of the models and the run are all there. */
    private static List<SpanData> run(ApplicationContext context, Scenario scenario, int models) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            UsageRuns runs = context.getBean(UsageRuns.class);
            ChatModel model = model(context, scenario, provider.baseUrl());
            Prompt prompt = new Prompt("How is the weather?", options(scenario));
            try {
                switch (scenario.mode()) {
                    case STREAM -> {
                        Flux<ChatResponse> answer = runs.track(model.stream(prompt));
                        Integer leaves = scenario.cancelAfter();
                        (leaves == null ? answer : answer.take(leaves)).blockLast(PATIENCE);
                    }
                    case CALL -> runs.track(() -> model.call(prompt));
                }
            } catch (Exception toldByTheScenario) {
                // The spans count here.
            }
            InMemorySpanExporter exporter = context.getBean(InMemorySpanExporter.class);
            return Flux.interval(Duration.ZERO, Duration.ofMillis(1))
                    .map(tick -> exporter.getFinishedSpanItems())
                    .filter(spans -> models(spans).size() == models
                            && spans.stream().anyMatch(span -> span.getName().equals("fluxtally.run")))
                    .blockFirst(PATIENCE);
        }
    }

    private static List<SpanData> models(List<SpanData> spans) {
        return spans.stream()
                .filter(span -> "chat".equals(value(span, "gen_ai.operation.name")))
                .toList();
    }

    private static SpanData run(List<SpanData> spans) {
        List<SpanData> runs = spans.stream()
                .filter(span -> span.getName().equals("fluxtally.run"))
                .toList();
        assertThat(runs).hasSize(1);
        return runs.get(0);
    }

    private static String value(SpanData span, String key) {
        return span.getAttributes().get(AttributeKey.stringKey(key));
    }

    private static OptionalLong figure(SpanData span, String key) {
        String value = value(span, key);
        return value == null ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(value));
    }

    private static OptionalLong sum(List<SpanData> spans, String key) {
        return spans.stream()
                .map(span -> figure(span, key))
                .filter(OptionalLong::isPresent)
                .reduce(OptionalLong.empty(), (sum, figure) -> OptionalLong.of(sum.orElse(0) + figure.orElseThrow()));
    }

    private static ChatModel model(ApplicationContext context, Scenario scenario, String baseUrl) {
        WebClient.Builder webClient = context.getBean(WebClient.Builder.class);
        RestClient.Builder restClient = context.getBean(RestClient.Builder.class);
        ObservationRegistry registry = context.getBean(ObservationRegistry.class);
        return switch (scenario.client()) {
            case OPENAI ->
                OpenAiChatModel.builder()
                        .openAiApi(OpenAiApi.builder()
                                .baseUrl(baseUrl)
                                .apiKey("none")
                                .webClientBuilder(webClient)
                                .restClientBuilder(restClient)
                                .build())
                        .observationRegistry(registry)
                        .build();
            case DASHSCOPE ->
                DashScopeChatModel.builder()
                        .dashScopeApi(DashScopeApi.builder()
                                .baseUrl(baseUrl)
                                .apiKey("none")
                                .webClientBuilder(webClient)
                                .restClientBuilder(restClient)
                                .build())
                        .observationRegistry(registry)
                        .build();
            default -> throw new IllegalArgumentException(scenario.name());
        };
    }

    private static ChatOptions options(Scenario scenario) {
        List<ToolCallback> tools = scenario.tools().stream()
                .<ToolCallback>map(
                        name -> FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                                .description("Answers that all is well.")
                                .inputType(Map.class)
                                .build())
                .toList();
        return switch (scenario.client()) {
            case OPENAI ->
                OpenAiChatOptions.builder()
                        .model("gpt-4o-mini")
                        .toolCallbacks(tools)
                        .build();
            case DASHSCOPE -> {
                DashScopeChatOptions options =
                        DashScopeChatOptions.builder().model("qwen-plus").build();
                options.setToolCallbacks(tools);
                yield options;
            }
            default -> throw new IllegalArgumentException(scenario.name());
        };
    }
}
