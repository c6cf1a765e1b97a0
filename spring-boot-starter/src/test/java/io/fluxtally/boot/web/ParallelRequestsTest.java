package io.fluxtally.boot.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunRecord;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.model.chat.client.autoconfigure.ChatClientBuilderConfigurer;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** An app as its users have it: browsers on one side, a provider on the other, and everything at the same time. */
class ParallelRequestsTest {

    private static final int PARALLEL = 50;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Scenario STREAM = Scenarios.load("openai-plain-stream");
    private static final Scenario TOOL_LOOP = Scenarios.load("openai-tool-loop-stream");
    private static final Scenario CALL = Scenarios.load("openai-call");
    private static final List<Scenario> FAILURES = List.of(
            Scenarios.load("openai-rate-limit-stream"),
            Scenarios.load("openai-internal-error-stream"),
            Scenarios.load("openai-error-in-stream"),
            Scenarios.load("openai-reset-stream"));

    private static final Providers PROVIDERS = new Providers();

    /** What a browser asks for; the number of a request decides. */
    enum Kind {
        STREAM,
        TOOLS,
        CALL,
        LEAVE,
        FAIL;

        static Kind of(int request) {
            return values()[request % values().length];
        }
    }

    @BeforeAll
    static void startProviders() {
        PROVIDERS.start();
    }

    @AfterAll
    static void closeProviders() {
        PROVIDERS.close();
    }

    @ParameterizedTest
    @EnumSource(
            value = WebApplicationType.class,
            names = {"SERVLET", "REACTIVE"})
    @DisplayName(
            "50 requests at the same time, each a run of its own that is the bill, whichever way it goes; none stays open")
    void eachIsItsOwnRun(WebApplicationType type) throws Exception {
        long failures = MeasuringFailures.count();
        try (ConfigurableApplicationContext context = new SpringApplicationBuilder(App.class)
                .web(type)
                .properties(
                        "server.port=0",
                        "spring.main.banner-mode=off",
                        "spring.ai.openai.api-key=no-key",
                        "spring.ai.dashscope.api-key=no-key",
                        "spring.ai.model.chat=openai",
                        "spring.ai.retry.max-attempts=1",
                        "fluxtally.web.run-per-request=true",
                        "fluxtally.runs.keep=200",
                        "fluxtally.chat-client.user-key=user",
                        "logging.level.root=OFF")
                .run()) {
            String round = type.name().toLowerCase();
            Browser browser =
                    new Browser(Integer.parseInt(context.getEnvironment().getRequiredProperty("local.server.port")));
            Map<String, List<String>> left = new ConcurrentHashMap<>();
            Map<String, String> bodies = new ConcurrentHashMap<>();
            askAll(browser, round, left, bodies);

            RunHistory history = context.getBean(RunHistory.class);
            await().atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(history.runs())
                            .hasSize(PARALLEL)
                            .allSatisfy(run -> {
                                assertThat(run.state()).isEqualTo(RunState.CLOSED);
                                assertThat(run.inFlight()).isZero();
                            }));
            Map<String, UsageRun> runs = context.getBean(Api.class).runs;
            assertThat(runs).hasSize(PARALLEL);
            for (int i = 0; i < PARALLEL; i++) {
                String key = key(round, i);
                UsageRun run = runs.get(key);
                RunRecord record = history.run(run.id()).orElseThrow();
                assertThat(run.usage().sum()).as(key).isEqualTo(record.sum());
                assertThat(record.requests())
                        .as(key)
                        .isNotEmpty()
                        .allSatisfy(request -> assertThat(request.labels())
                                .containsEntry(RequestUsage.CONVERSATION, key)
                                .containsEntry(RequestUsage.USER, "user of " + key));
                check(i, key, record, left, bodies);
            }
            assertThat(history.open()).isZero();
            assertThat(history.evicted()).isZero();
            assertThat(context.getBean(UsageRecorder.class).unattributed()).isZero();
        }
        assertThat(MeasuringFailures.count()).isEqualTo(failures);
    }

    private static String key(String round, int request) {
        return round + "-" + request;
    }

    private static void askAll(
            Browser browser, String round, Map<String, List<String>> left, Map<String, String> bodies)
            throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(PARALLEL);
        try {
            CountDownLatch together = new CountDownLatch(1);
            List<Future<?>> asked = new ArrayList<>();
            for (int i = 0; i < PARALLEL; i++) {
                int request = i;
                String key = key(round, i);
                asked.add(threads.submit(() -> {
                    together.await();
                    switch (Kind.of(request)) {
                        case STREAM ->
                            bodies.put(
                                    key,
                                    browser.get("/stream/" + key + "/" + times(request))
                                            .body());
                        case TOOLS ->
                            bodies.put(key, browser.get("/tools/" + key).body());
                        case CALL -> bodies.put(key, browser.get("/call/" + key).body());
                        case LEAVE -> left.put(key, browser.leave("/endless/" + key, "data:word", 3));
                        case FAIL -> fail(browser, request, key);
                    }
                    return null;
                }));
            }
            together.countDown();
            for (Future<?> one : asked) {
                one.get();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** How the app tells of a failure is its own affair: by a status, or by an end in mid-stream. */
    private static void fail(Browser browser, int request, String key) throws InterruptedException {
        try {
            browser.get("/fail/" + key + "/" + failure(request));
        } catch (IOException cutOff) {
            // In mid-stream.
        }
    }

    private static int times(int request) {
        return request / Kind.values().length % 3 + 1;
    }

    private static int failure(int request) {
        return request / Kind.values().length % FAILURES.size();
    }

    private static void check(
            int request, String key, RunRecord run, Map<String, List<String>> left, Map<String, String> bodies)
            throws IOException {
        TokenUsage total = run.sum().total();
        switch (Kind.of(request)) {
            case STREAM -> {
                assertBilled(key, run, times(request), STREAM);
                assertToldLast(bodies.get(key), run);
            }
            case TOOLS -> {
                assertThat(run.isComplete()).as(key).isTrue();
                assertThat(total.inputTokens())
                        .as(key)
                        .isEqualTo(figure(TOOL_LOOP, TokenKey.INPUT_TOKENS) + figure(CALL, TokenKey.INPUT_TOKENS));
                assertThat(total.totalTokens())
                        .as(key)
                        .isEqualTo(figure(TOOL_LOOP, TokenKey.TOTAL_TOKENS) + figure(CALL, TokenKey.TOTAL_TOKENS));
                assertThat(run.sum().requests()).as(key).isEqualTo(3);
                assertToldLast(bodies.get(key), run);
            }
            case CALL -> {
                assertBilled(key, run, 1, CALL);
                assertThat(bodies.get(key)).contains(run.runId());
            }
            case LEAVE -> {
                assertThat(run.requests())
                        .as(key)
                        .singleElement()
                        .satisfies(one -> assertThat(one.outcome()).isEqualTo(RequestOutcome.CANCELLED));
                assertThat(run.isComplete()).as(key).isFalse();
                assertThat(run.sum().missing()).as(key).isZero();
                long seen = left.get(key).stream()
                        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                        .max()
                        .orElseThrow();
                assertThat(total.inputTokens()).as(key).isEqualTo(100);
                assertThat(total.outputTokens()).as(key).isGreaterThanOrEqualTo(seen);
            }
            case FAIL -> assertBilled(key, run, 1, FAILURES.get(failure(request)));
        }
    }

    private static void assertBilled(String key, RunRecord run, int times, Scenario scenario) {
        String what = key + ", " + scenario.name();
        TokenUsage total = run.sum().total();
        assertThat(run.isComplete()).as(what).isEqualTo(scenario.billed().complete());
        assertThat(run.sum().requests()).as(what).isEqualTo(times);
        assertThat(total.inputTokens()).as(what).isEqualTo(times * figure(scenario, TokenKey.INPUT_TOKENS));
        assertThat(total.outputTokens()).as(what).isEqualTo(times * figure(scenario, TokenKey.OUTPUT_TOKENS));
        assertThat(total.totalTokens()).as(what).isEqualTo(times * figure(scenario, TokenKey.TOTAL_TOKENS));
    }

    /** 0 where nothing is known. */
    private static long figure(Scenario scenario, TokenKey key) {
        return scenario.billed().total().get(key).orElse(0);
    }

    private static void assertToldLast(String body, RunRecord run) throws IOException {
        String[] events = body.split("\n\n");
        assertThat(events[events.length - 1]).startsWith("event:usage\ndata:");
        JsonNode told = new ObjectMapper().readTree(events[events.length - 1].substring("event:usage\ndata:".length()));
        assertThat(told.get("run_id").asText()).isEqualTo(run.runId());
        assertThat(told.get("total_tokens").asLong())
                .isEqualTo(run.sum().total().totalTokens());
        assertThat(told.get("requests").asLong()).isEqualTo(run.sum().requests());
        assertThat(told.get("complete").asBoolean()).isTrue();
    }

    /** Providers on loopback: every conversation is one of its own. */
    static final class Providers {

        private LoopbackProvider streams;
        private LoopbackProvider toolLoops;
        private LoopbackProvider calls;
        private LoopbackProvider endless;
        private List<LoopbackProvider> failing;

        void start() {
            streams = LoopbackProvider.start(STREAM);
            toolLoops = LoopbackProvider.start(TOOL_LOOP);
            calls = LoopbackProvider.start(CALL);
            // A stream that goes on for much longer than a server takes to notice that its reader is gone.
            endless = LoopbackProvider.builder()
                    .eventDelay(Duration.ofMillis(10))
                    .start(Mode.STREAM, List.of(Response.of(words(2000))));
            failing = FAILURES.stream().map(LoopbackProvider::start).toList();
        }

        private static String words(int count) {
            String chunk = """
                    data: {"id":"chatcmpl-endless","object":"chat.completion.chunk","created":1764000000,"model":"qwen-plus",\
                    "choices":[{"index":0,"delta":{"content":"word%d"},"finish_reason":null}],\
                    "usage":{"prompt_tokens":100,"completion_tokens":%d,"total_tokens":%d}}

                    """;
            return IntStream.rangeClosed(1, count)
                    .mapToObj(n -> chunk.formatted(n, n, 100 + n))
                    .collect(Collectors.joining());
        }

        void close() {
            List<LoopbackProvider> all = new ArrayList<>(failing);
            all.addAll(List.of(streams, toolLoops, calls, endless));
            all.forEach(LoopbackProvider::close);
        }
    }

    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class App {

        @Bean
        Api api(
                UsageRuns runs,
                OpenAiChatModel model,
                ObjectProvider<WebClient.Builder> webClient,
                ObjectProvider<RestClient.Builder> restClient,
                ChatClientBuilderConfigurer configurer) {
            return new Api(runs, model, webClient, restClient, configurer);
        }
    }

    @RestController
    static final class Api {

        private final Map<String, UsageRun> runs = new ConcurrentHashMap<>();
        private final UsageRuns usage;
        private final OpenAiChatModel model;
        private final ObjectProvider<WebClient.Builder> webClient;
        private final ObjectProvider<RestClient.Builder> restClient;
        private final ChatClientBuilderConfigurer configurer;

        Api(
                UsageRuns usage,
                OpenAiChatModel model,
                ObjectProvider<WebClient.Builder> webClient,
                ObjectProvider<RestClient.Builder> restClient,
                ChatClientBuilderConfigurer configurer) {
            this.usage = usage;
            this.model = model;
            this.webClient = webClient;
            this.restClient = restClient;
            this.configurer = configurer;
        }

        /** The app's model at another address, which is what makes a conversation with the provider. */
        private ChatClient.ChatClientRequestSpec ask(String baseUrl, String key) {
            OpenAiChatModel there = model.mutate()
                    .openAiApi(OpenAiApi.builder()
                            .baseUrl(baseUrl)
                            .apiKey("no-key")
                            .webClientBuilder(webClient.getObject())
                            // Not the default in a reactive app, which writes from boundedElastic: the tools take its
                            // threads.
                            .restClientBuilder(restClient.getObject().requestFactory(new JdkClientHttpRequestFactory()))
                            .build())
                    .build();
            return configurer
                    .configure(ChatClient.builder(there))
                    .build()
                    .prompt("Hello")
                    .advisors(advisors ->
                            advisors.param(ChatMemory.CONVERSATION_ID, key).param("user", "user of " + key));
        }

        private Flux<ServerSentEvent<Object>> inRun(String key, Flux<String> answer) {
            return Flux.deferContextual(context -> {
                UsageRun run = usage.current(context).orElseThrow();
                runs.put(key, run);
                return UsageEvents.with(answer, run);
            });
        }

        @GetMapping(path = "/stream/{key}/{times}", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<ServerSentEvent<Object>> stream(@PathVariable String key, @PathVariable int times) {
            return inRun(
                    key,
                    Flux.range(0, times)
                            .concatMap(n -> ask(PROVIDERS.streams.baseUrl(key + "-" + n), key).stream()
                                    .content()));
        }

        @GetMapping(path = "/tools/{key}", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<ServerSentEvent<Object>> tools(@PathVariable String key) {
            // Spring AI runs a stream's tools on a thread of boundedElastic.
            FunctionToolCallback<Map<String, Object>, String> tool = FunctionToolCallback.builder(
                            "get_weather", (Map<String, Object> input) -> {
                                assertThat(usage.current().orElseThrow().id())
                                        .isEqualTo(runs.get(key).id());
                                return ask(PROVIDERS.calls.baseUrl(key), key)
                                        .call()
                                        .content();
                            })
                    .inputType(Map.class)
                    .build();
            return inRun(
                    key,
                    ask(PROVIDERS.toolLoops.baseUrl(key), key).toolCallbacks(tool).stream()
                            .content());
        }

        @GetMapping("/call/{key}")
        Mono<String> call(@PathVariable String key) {
            // In a servlet app the run is the thread's as well, but so an app on WebFlux has to do it.
            return Mono.deferContextual(context -> {
                UsageRun run = usage.current(context).orElseThrow();
                runs.put(key, run);
                return Mono.fromCallable(() -> run.scope()
                                .call(() -> ask(PROVIDERS.calls.baseUrl(key), key)
                                                .call()
                                                .content()
                                        + run.id()))
                        .subscribeOn(Schedulers.boundedElastic());
            });
        }

        @GetMapping(path = "/endless/{key}", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<ServerSentEvent<Object>> endless(@PathVariable String key) {
            return inRun(key, ask(PROVIDERS.endless.baseUrl(key), key).stream().content());
        }

        @GetMapping(path = "/fail/{key}/{failure}", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
        Flux<ServerSentEvent<Object>> fail(@PathVariable String key, @PathVariable int failure) {
            return inRun(
                    key,
                    ask(PROVIDERS.failing.get(failure).baseUrl(key), key).stream()
                            .content());
        }
    }
}
