package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.observation.ChatObservationListener;
import io.fluxtally.usage.observation.ChatUsageObservationFilter;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import io.micrometer.common.KeyValue;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.retry.TransientAiException;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;

/** Spring AI's own observations of the real clients, over HTTP. */
@Tag("every-spring-ai")
@DisplayName("The observations of a model's calls")
class ObservationsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** DashScope's convention throws on a usage without counts, so Micrometer never hears that this observation has ended. */
    private static final String NEVER_STOPPED = "dashscope-details-only-call";

    private static final String INPUT = "gen_ai.usage.input_tokens";
    private static final String OUTPUT = "gen_ai.usage.output_tokens";
    private static final String TOTAL = "gen_ai.usage.total_tokens";
    private static final String CACHE_READ = "gen_ai.usage.cache_read.input_tokens";
    private static final String SOURCE = "fluxtally.usage.source";
    private static final RetryTemplate RETRY = RetryTemplate.builder()
            .maxAttempts(3)
            .retryOn(TransientAiException.class)
            .fixedBackoff(1)
            .build();

    /** How the HTTP clients are observed themselves. */
    enum Http {
        OBSERVED,
        /** As by {@code management.observations.enable.http.client.requests=false}. */
        SWITCHED_OFF,
        /** As of a client that the app has built by itself. */
        WITHOUT_REGISTRY
    }

    private final ObservationRegistry registry = ObservationRegistry.create();
    private final List<ChatModelObservationContext> started = new CopyOnWriteArrayList<>();
    private final Set<ChatModelObservationContext> stopped = ConcurrentHashMap.newKeySet();
    private final RunScope run = RunScope.start();

    static Stream<Arguments> scenarios() {
        return Scenarios.all().stream()
                .filter(scenario -> scenario.client() == Client.OPENAI || scenario.client() == Client.DASHSCOPE)
                .filter(scenario -> !scenario.name().equals(NEVER_STOPPED))
                .flatMap(scenario -> Arrays.stream(Http.values())
                        .map(http -> Arguments.argumentSet(scenario.name() + ", HTTP " + http, scenario, http)));
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    @DisplayName("add up to the run, whose bill it is, however the HTTP client is observed")
    void addUp(Scenario scenario, Http http) {
        List<ChatModelObservationContext> observations = observe(scenario, http);

        UsageSum sum = run.usage().sum();
        TokenUsage total = sum.total();
        boolean known = !sum.isUnknown();
        assertThat(BillCheck.differences(scenario.billed(), run.usage())).isEmpty();
        assertThat(sum(observations, "fluxtally.usage.requests")).hasValue(sum.requests());
        assertThat(sum(observations, "fluxtally.usage.unreported")).hasValue(sum.unreported());
        assertThat(sum(observations, INPUT)).isEqualTo(reported(known, total.inputTokens()));
        assertThat(sum(observations, OUTPUT)).isEqualTo(reported(known, total.outputTokens()));
        assertThat(sum(observations, TOTAL)).isEqualTo(reported(known, total.totalTokens()));
        assertThat(sum(observations, CACHE_READ)).isEqualTo(total.cacheReadInputTokens());
        assertThat(sum(observations, "gen_ai.usage.cache_creation.input_tokens"))
                .isEqualTo(total.cacheCreationInputTokens());
        assertThat(sum(observations, "fluxtally.usage.reasoning.output_tokens"))
                .isEqualTo(total.reasoningOutputTokens());
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("each have their own round of a stream's loop of tools, though they are nested (T3)")
    void nestedRounds(Http http) {
        List<ChatModelObservationContext> observations = observe(Scenarios.load("openai-three-loops-stream"), http);

        assertThat(values(observations, INPUT)).containsExactly("200", "300", "400", "500");
        assertThat(values(observations, OUTPUT)).containsExactly("20", "30", "40", "6");
        assertThat(values(observations, TOTAL)).containsExactly("220", "330", "440", "506");
        assertThat(values(observations, CACHE_READ)).containsExactly("0", "192", "256", "320");
        assertThat(values(observations, SOURCE)).containsOnly("reported");
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("each have their own round of a blocking loop of tools (T3)")
    void blockingRounds(Http http) {
        List<ChatModelObservationContext> observations = observe(Scenarios.load("openai-three-loops-call"), http);

        assertThat(values(observations, INPUT)).containsExactly("200", "300", "400", "500");
        assertThat(values(observations, OUTPUT)).containsExactly("20", "30", "40", "6");
    }

    @Test
    @DisplayName("have what was reported until the app left, though the client does not pass the cancel on (T7)")
    void cancelled() {
        List<ChatModelObservationContext> observations =
                observe(Scenarios.load("dashscope-hang-cancel-stream"), Http.OBSERVED);

        assertThat(values(observations, INPUT)).containsExactly("40");
        assertThat(values(observations, OUTPUT)).containsExactly("6");
        assertThat(values(observations, SOURCE)).containsExactly("partial");
    }

    @Test
    @DisplayName("say that nothing was reported, and no figure, when the app left before there was one (T7)")
    void nothingReported() {
        List<ChatModelObservationContext> observations = observe(Scenarios.load("openai-cancel-stream"), Http.OBSERVED);

        assertThat(values(observations, SOURCE)).containsExactly("missing");
        assertThat(values(observations, INPUT)).containsOnlyNulls();
        assertThat(values(observations, TOTAL)).containsOnlyNulls();
    }

    @Test
    @DisplayName("have what was reported before an error (T7)")
    void failed() {
        List<ChatModelObservationContext> observations =
                observe(Scenarios.load("dashscope-tool-loop-reset-second-round-stream"), Http.OBSERVED);

        assertThat(observations).hasSize(2).allMatch(observation -> observation.getError() != null);
        assertThat(values(observations, SOURCE)).containsExactly("reported", "partial");
        assertThat(values(observations, INPUT)).containsExactly("200", "260");
    }

    @Test
    @DisplayName("have all tries of a call that was retried (T8)")
    void retried() {
        List<ChatModelObservationContext> observations = observe(Scenarios.load("openai-retried-call"), Http.OBSERVED);

        assertThat(values(observations, "fluxtally.usage.requests")).containsExactly("3");
        assertThat(values(observations, INPUT)).containsExactly("24");
    }

    private List<ChatModelObservationContext> observe(Scenario scenario, Http http) {
        registry.observationConfig()
                .observationFilter(new ChatUsageObservationFilter())
                .observationHandler(new ChatObservations());
        if (http == Http.SWITCHED_OFF) {
            registry.observationConfig()
                    .observationPredicate((name, context) -> !name.startsWith("http.client.requests"));
        }
        WireTap tap = WireTap.builder()
                .recorder(UsageRecorder.withSinks())
                .listener(new ChatObservationListener(registry))
                .build();
        ObservationRegistry own = http == Http.WITHOUT_REGISTRY ? ObservationRegistry.NOOP : registry;
        WebClient.Builder webClient =
                WebClient.builder().observationRegistry(own).filter(new WireTapExchangeFilter(tap));
        RestClient.Builder restClient =
                RestClient.builder().observationRegistry(own).requestInterceptor(new WireTapInterceptor(tap));
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            boolean isOpenAi = scenario.client() == Client.OPENAI;
            ChatModel model = isOpenAi
                    ? openAi(provider.baseUrl(), webClient, restClient)
                    : dashScope(provider.baseUrl(), webClient, restClient);
            Prompt prompt =
                    new Prompt("How is the weather?", isOpenAi ? openAiOptions(scenario) : dashScopeOptions(scenario));
            if (scenario.mode() == Mode.STREAM) {
                stream(model, prompt, scenario.cancelAfter());
            } else {
                call(model, prompt);
            }
            return settled();
        }
    }

    private void stream(ChatModel model, Prompt prompt, Integer cancelAfter) {
        Flux<?> answer = run.wrap(model.stream(prompt));
        (cancelAfter == null ? answer : answer.take(cancelAfter))
                .onErrorComplete()
                .blockLast(PATIENCE);
    }

    private void call(ChatModel model, Prompt prompt) {
        try {
            run.call(() -> model.call(prompt));
        } catch (Exception toldByTheScenario) {
            // What is in the observation counts here.
        }
    }

    /** The observations once all are over: an app hears of the end of a stream before its observation does. */
    private List<ChatModelObservationContext> settled() {
        return Flux.interval(Duration.ZERO, Duration.ofMillis(1))
                .map(tick -> run.usage())
                .filter(usage -> isSettled(usage))
                .map(usage -> List.copyOf(started))
                .blockFirst(PATIENCE);
    }

    private boolean isSettled(RunUsage usage) {
        return usage.inFlight() == 0 && !started.isEmpty() && stopped.containsAll(started);
    }

    private final class ChatObservations implements ObservationHandler<Observation.Context> {

        @Override
        public void onStart(Observation.Context context) {
            if (context instanceof ChatModelObservationContext chat) {
                started.add(chat);
            }
        }

        @Override
        public void onStop(Observation.Context context) {
            if (context instanceof ChatModelObservationContext chat) {
                stopped.add(chat);
            }
        }

        @Override
        public boolean supportsContext(Observation.Context context) {
            return true;
        }
    }

    private ChatModel openAi(String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        OpenAiApi api = OpenAiApi.builder()
                .baseUrl(baseUrl)
                .apiKey("none")
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        return OpenAiChatModel.builder()
                .openAiApi(api)
                .retryTemplate(RETRY)
                .observationRegistry(registry)
                .build();
    }

    private static ChatOptions openAiOptions(Scenario scenario) {
        return OpenAiChatOptions.builder()
                .model("gpt-4o-mini")
                .streamUsage(scenario.mode() == Mode.STREAM)
                .extraBody(new HashMap<>(scenario.options()))
                .toolCallbacks(tools(scenario))
                .build();
    }

    private ChatModel dashScope(String baseUrl, WebClient.Builder webClient, RestClient.Builder restClient) {
        DashScopeApi api = DashScopeApi.builder()
                .baseUrl(baseUrl)
                .apiKey("none")
                .webClientBuilder(webClient)
                .restClientBuilder(restClient)
                .build();
        return DashScopeChatModel.builder()
                .dashScopeApi(api)
                .retryTemplate(RETRY)
                .observationRegistry(registry)
                .build();
    }

    private static ChatOptions dashScopeOptions(Scenario scenario) {
        DashScopeChatOptions options =
                DashScopeChatOptions.builder().model("qwen-plus").build();
        Map<String, Object> extraBody = new HashMap<>(scenario.options());
        if (extraBody.remove("incremental_output") instanceof Boolean incremental) {
            options.setIncrementalOutput(incremental);
        }
        options.setExtraBody(extraBody);
        options.setToolCallbacks(tools(scenario));
        return options;
    }

    private static List<ToolCallback> tools(Scenario scenario) {
        List<ToolCallback> tools = new ArrayList<>();
        for (String name : scenario.tools()) {
            tools.add(FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                    .description("Answers that all is well.")
                    .inputType(Map.class)
                    .build());
        }
        return tools;
    }

    private static OptionalLong reported(boolean known, long tokens) {
        return known ? OptionalLong.of(tokens) : OptionalLong.empty();
    }

    /** The sum over the observations that have a value, or empty if none has. */
    private static OptionalLong sum(List<ChatModelObservationContext> observations, String key) {
        List<String> all = values(observations, key).stream()
                .filter(value -> value != null)
                .toList();
        return all.isEmpty()
                ? OptionalLong.empty()
                : OptionalLong.of(all.stream().mapToLong(Long::parseLong).sum());
    }

    private static List<String> values(List<ChatModelObservationContext> observations, String key) {
        List<String> values = new ArrayList<>();
        for (ChatModelObservationContext observation : observations) {
            KeyValue value = observation.getHighCardinalityKeyValue(key);
            values.add(value == null ? null : value.getValue());
        }
        return values;
    }
}
