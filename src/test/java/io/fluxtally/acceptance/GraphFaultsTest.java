package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.ExchangeEnd;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.loopback.LoopbackServer;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeConfig;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.restclient.WireTapInterceptor;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.scheduler.VirtualTimeScheduler;
import reactor.util.retry.Retry;

/** Graphs with the real clients over HTTP: what the provider sees of a run that is left, hangs or fails. */
@Tag("every-spring-ai")
@DisplayName("A graph's run over HTTP")
@Timeout(120)
class GraphFaultsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration MINUTE = Duration.ofMinutes(1);
    private static final String ANSWERS = "answers";

    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final WireTap tap = WireTap.builder().recorder(recorder).build();
    private final RunScope run = RunScope.start();
    private final AtomicInteger asked = new AtomicInteger();

    private enum Client {
        OPEN_AI("openai", UsageSource.MISSING) {
            @Override
            ChatModel model(String baseUrl, @Nullable WireTap tap) {
                OpenAiApi.Builder api = OpenAiApi.builder().baseUrl(baseUrl).apiKey("none");
                if (tap != null) {
                    api.webClientBuilder(WebClient.builder().filter(new WireTapExchangeFilter(tap)))
                            .restClientBuilder(RestClient.builder().requestInterceptor(new WireTapInterceptor(tap)));
                }
                return OpenAiChatModel.builder().openAiApi(api.build()).build();
            }
        },
        DASH_SCOPE("dashscope", UsageSource.PARTIAL) {
            @Override
            ChatModel model(String baseUrl, @Nullable WireTap tap) {
                return tap == null ? DashScopeClient.stock(baseUrl) : DashScopeClient.tapped(baseUrl, tap);
            }
        };

        private final String family;

        /** What is known of a response that was cut. */
        private final UsageSource cut;

        Client(String family, UsageSource cut) {
            this.family = family;
            this.cut = cut;
        }

        abstract ChatModel model(String baseUrl, @Nullable WireTap tap);

        /** Words and no end, and of DashScope a running total: for minutes, if nobody leaves. */
        Response endless() {
            String event = plain().body().split("\\R\\R", 2)[0];
            return Response.of((event + "\n\n").repeat(10_000));
        }

        /** A few words, as they begin the body. */
        String begin() {
            return (plain().body().split("\\R\\R", 2)[0] + "\n\n").repeat(3);
        }

        Response reset() {
            return response(family + "-reset-stream");
        }

        Response plain() {
            return response(family + "-plain-stream");
        }

        private static Response response(String scenario) {
            return Scenarios.load(scenario).responses().get(0);
        }
    }

    private enum Shape {
        NODE(1),
        BRANCHES(2) {
            @Override
            CompiledGraph graph(LlmNode ask, NodeConfig config) {
                return empty("trip")
                        .addNode("weather", ask, config)
                        .addNode("sights", ask, config)
                        .addEdge(StateGraph.START, "weather")
                        .addEdge(StateGraph.START, "sights")
                        .addEdge("weather", StateGraph.END)
                        .addEdge("sights", StateGraph.END)
                        .compile();
            }
        },
        SUB_GRAPH(1) {
            @Override
            CompiledGraph graph(LlmNode ask, NodeConfig config) {
                CompiledGraph inner = single(ask, NodeConfig.DEFAULT);
                return empty("outer")
                        .addNode("inner", inner.asNode(), config)
                        .addEdge(StateGraph.START, "inner")
                        .addEdge("inner", StateGraph.END)
                        .compile();
            }
        };

        private final int requests;

        Shape(int requests) {
            this.requests = requests;
        }

        CompiledGraph graph(LlmNode ask, NodeConfig config) {
            return single(ask, config);
        }

        private static CompiledGraph single(LlmNode ask, NodeConfig config) {
            return empty("single")
                    .addNode("ask", ask, config)
                    .addEdge(StateGraph.START, "ask")
                    .addEdge("ask", StateGraph.END)
                    .compile();
        }

        private static StateGraph empty(String name) {
            return new StateGraph(name).keyStrategy(ANSWERS, KeyStrategy.APPEND);
        }
    }

    static Stream<Arguments> everyWay() {
        return Stream.of(Client.values())
                .flatMap(client -> Stream.of(Shape.values())
                        .flatMap(shape -> Stream.of(true, false).map(tapped -> Arguments.of(client, shape, tapped))));
    }

    /** A provider that writes event by event: the stock clients notice that an app has left with the next one. */
    private static LoopbackProvider slow(List<Response> responses) {
        return LoopbackProvider.builder().eventDelay(Duration.ofMillis(10)).start(Mode.STREAM, responses);
    }

    private LlmNode ask(Client client, String baseUrl, boolean tapped) {
        ChatModel model = client.model(baseUrl, tapped ? tap : null);
        return new LlmNode(
                model,
                state -> {
                    asked.incrementAndGet();
                    return new Prompt("How is the weather?");
                },
                ANSWERS);
    }

    private static ExchangeEnd end(LoopbackProvider provider, int request) throws Exception {
        return provider.request(request)
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS)
                .ended()
                .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    /** Subscribes, and waits for the first words of as many nodes as given. */
    private static Disposable begin(Flux<NodeOutput> outputs, int nodes, Sinks.One<NodeOutput> end) throws Exception {
        CountDownLatch begun = new CountDownLatch(nodes);
        Set<String> speaking = ConcurrentHashMap.newKeySet();
        Disposable app = outputs.doOnNext(output -> {
                    if (speaking.add(output.node())) {
                        begun.countDown();
                    }
                })
                .last()
                .subscribe(end::tryEmitValue, end::tryEmitError);
        assertThat(begun.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        return app;
    }

    /** What the run has used once all is booked: where words are just coming, their thread takes notice of a cancel. */
    private RunUsage settled() {
        RunUsage usage = run.usage();
        while (usage.inFlight() > 0) {
            Thread.onSpinWait();
            usage = run.usage();
        }
        return usage;
    }

    private static void assertCut(RunUsage usage, UsageSource known, int requests) {
        assertThat(usage.inFlight()).isZero();
        assertThat(usage.isComplete()).isFalse();
        assertThat(usage.requests())
                .hasSize(requests)
                .extracting(RequestUsage::source, RequestUsage::outcome)
                .containsOnly(tuple(known, RequestOutcome.CANCELLED));
    }

    @ParameterizedTest(name = "{0}, {1}, tapped: {2}")
    @MethodSource("everyWay")
    @DisplayName("closes its connections at once when the app leaves, and books what is known of them (T7)")
    void leaving(Client client, Shape shape, boolean tapped) throws Exception {
        try (LoopbackProvider provider = slow(List.of(client.endless(), client.endless(), client.plain()))) {
            CompiledGraph graph = shape.graph(
                    ask(client, provider.baseUrl(), tapped),
                    NodeConfig.DEFAULT.withRetry(Retry.max(9)).withTimeout(PATIENCE));

            Disposable app = begin(run.wrap(graph.stream(Map.of())), shape.requests, Sinks.one());
            app.dispose();

            assertCut(settled(), client.cut, shape.requests);
            for (int i = 0; i < shape.requests; i++) {
                assertThat(end(provider, i)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
            }
            assertThat(asked).hasValue(shape.requests);
            assertThat(provider.requestCount()).isEqualTo(shape.requests);
            assertThat(recorder.unattributed()).isZero();
        }
    }

    @ParameterizedTest(name = "{0}, {1}, tapped: {2}")
    @MethodSource("everyWay")
    @DisplayName(
            "closes its connections when its time is over, books what is known of them, and may ask again (T7, T8)")
    void tooLong(Client client, Shape shape, boolean tapped) throws Exception {
        List<Response> responses = new ArrayList<>(Collections.nCopies(shape.requests, client.endless()));
        responses.addAll(Collections.nCopies(shape.requests, client.plain()));
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try (LoopbackProvider provider = slow(responses)) {
            CompiledGraph graph = shape.graph(
                    ask(client, provider.baseUrl(), tapped),
                    NodeConfig.DEFAULT.withRetry(Retry.max(1)).withTimeout(MINUTE));
            Sinks.One<NodeOutput> end = Sinks.one();

            begin(run.wrap(graph.stream(Map.of())), shape.requests, end);
            time.advanceTimeBy(MINUTE);

            NodeOutput last = end.asMono().block(PATIENCE);
            for (int i = 0; i < shape.requests; i++) {
                assertThat(end(provider, i)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
            }
            assertThat(last.state().list(ANSWERS)).hasSize(shape.requests);
            assertThat(last.runUsage().inFlight()).isZero();
            assertThat(last.runUsage().requests())
                    .filteredOn(request -> request.attempt() == 1)
                    .hasSize(shape.requests)
                    .extracting(RequestUsage::source)
                    .containsOnly(client.cut);
            assertThat(last.runUsage().requests())
                    .filteredOn(request -> request.attempt() == 2)
                    .hasSize(shape.requests)
                    .extracting(RequestUsage::source, RequestUsage::outcome)
                    .containsOnly(tuple(UsageSource.REPORTED, RequestOutcome.COMPLETED));
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    @ParameterizedTest(name = "{0}, {1}, tapped: {2}")
    @MethodSource("everyWay")
    @DisplayName("fails when its time is over with what is known, its connections closed (T7)")
    void fails(Client client, Shape shape, boolean tapped) throws Exception {
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try (LoopbackProvider provider = slow(List.of(client.endless(), client.endless()))) {
            CompiledGraph graph =
                    shape.graph(ask(client, provider.baseUrl(), tapped), NodeConfig.DEFAULT.withTimeout(MINUTE));
            Sinks.One<NodeOutput> end = Sinks.one();

            begin(run.wrap(graph.stream(Map.of())), shape.requests, end);
            time.advanceTimeBy(MINUTE);

            NodeFailedException failure = catchThrowableOfType(
                    NodeFailedException.class, () -> end.asMono().block(PATIENCE));
            assertThat(failure).hasCauseInstanceOf(TimeoutException.class);
            assertThat(failure.usage().isComplete()).isFalse();
            assertCut(settled(), client.cut, shape.requests);
            for (int i = 0; i < shape.requests; i++) {
                assertThat(end(provider, i)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
            }
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    @ParameterizedTest(name = "{0}, {1}, tapped: {2}")
    @MethodSource("everyWay")
    @DisplayName(
            "sends no further request when the app leaves while a retry waits, and keeps what the first was (T7, T8)")
    void leavingDuringBackOff(Client client, Shape shape, boolean tapped) throws Exception {
        List<Response> responses = new ArrayList<>(Collections.nCopies(shape.requests, client.reset()));
        responses.addAll(Collections.nCopies(shape.requests, client.plain()));
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        CountDownLatch waiting = new CountDownLatch(shape.requests);
        Retry retry = Retry.fixedDelay(1, MINUTE).doBeforeRetry(signal -> waiting.countDown());
        try (LoopbackProvider provider = slow(responses)) {
            CompiledGraph graph =
                    shape.graph(ask(client, provider.baseUrl(), tapped), NodeConfig.DEFAULT.withRetry(retry));

            Disposable app = run.wrap(graph.stream(Map.of())).subscribe();
            assertThat(waiting.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
            app.dispose();
            time.advanceTimeBy(Duration.ofHours(1));

            assertThat(asked).hasValue(shape.requests);
            assertThat(provider.requestCount()).isEqualTo(shape.requests);
            assertThat(run.usage().inFlight()).isZero();
            assertThat(run.usage().requests())
                    .hasSize(shape.requests)
                    .extracting(RequestUsage::source, RequestUsage::outcome)
                    .containsOnly(tuple(client.cut, RequestOutcome.FAILED));
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    private enum Silence {
        NO_HEAD,
        AFTER_EVENTS
    }

    /** Whose first requests are answered with silence, and stay open until the client leaves. */
    private static final class SilentProvider implements AutoCloseable {

        private final List<CompletableFuture<Void>> left = new CopyOnWriteArrayList<>();
        private final CountDownLatch asked;
        private final LoopbackServer server;

        SilentProvider(Client client, Silence silence, int silent) {
            asked = new CountDownLatch(silent);
            server = LoopbackServer.start(LoopbackServer.threads("silent"), 0, (request, response) -> {
                boolean answers = asked.getCount() == 0;
                CompletableFuture<Void> gone = new CompletableFuture<>();
                request.withConnection(connection -> connection.onDispose(() -> gone.complete(null)));
                if (!answers) {
                    left.add(gone);
                    asked.countDown();
                }
                response.header("content-type", "text/event-stream;charset=UTF-8");
                Mono<Void> answer = answers
                        ? response.sendString(Mono.just(client.plain().body())).then()
                        : switch (silence) {
                            case NO_HEAD -> Mono.never();
                            case AFTER_EVENTS ->
                                response.sendString(Flux.just(client.begin()).concatWith(Flux.never()))
                                        .then();
                        };
                return request.receive().then(answer);
            });
        }

        void awaitAsked() throws InterruptedException {
            assertThat(asked.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        }

        /** Waits until the client has left all requests that are answered with silence. */
        void awaitLeft() {
            assertThat(CompletableFuture.allOf(left.toArray(CompletableFuture[]::new)))
                    .succeedsWithin(PATIENCE);
        }

        @Override
        public void close() {
            server.close();
        }
    }

    static Stream<Arguments> everySilence() {
        return Stream.of(Client.values())
                .flatMap(client -> Stream.of(Shape.values())
                        .flatMap(shape ->
                                Stream.of(Silence.values()).map(silence -> Arguments.of(client, shape, silence))));
    }

    /** What is known of a response that fell silent. */
    private static UsageSource known(Client client, Silence silence) {
        return silence == Silence.AFTER_EVENTS ? client.cut : UsageSource.MISSING;
    }

    private static Disposable beginSilent(
            SilentProvider provider, Silence silence, Flux<NodeOutput> outputs, int nodes, Sinks.One<NodeOutput> end)
            throws Exception {
        Disposable app = begin(outputs, silence == Silence.AFTER_EVENTS ? nodes : 0, end);
        provider.awaitAsked();
        return app;
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("everySilence")
    @DisplayName("closes its tapped connections when the app leaves a provider that is silent (T7)")
    void leavingTheSilent(Client client, Shape shape, Silence silence) throws Exception {
        try (SilentProvider provider = new SilentProvider(client, silence, shape.requests)) {
            CompiledGraph graph = shape.graph(
                    ask(client, provider.server.baseUrl(), true), NodeConfig.DEFAULT.withRetry(Retry.max(9)));

            Disposable app =
                    beginSilent(provider, silence, run.wrap(graph.stream(Map.of())), shape.requests, Sinks.one());
            app.dispose();

            assertCut(settled(), known(client, silence), shape.requests);
            provider.awaitLeft();
            assertThat(asked).hasValue(shape.requests);
        }
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("everySilence")
    @DisplayName(
            "closes its tapped connections to a provider that is silent when its time is over, and asks again (T7, T8)")
    void tooLongSilent(Client client, Shape shape, Silence silence) throws Exception {
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try (SilentProvider provider = new SilentProvider(client, silence, shape.requests)) {
            CompiledGraph graph = shape.graph(
                    ask(client, provider.server.baseUrl(), true),
                    NodeConfig.DEFAULT.withRetry(Retry.max(1)).withTimeout(MINUTE));
            Sinks.One<NodeOutput> end = Sinks.one();

            beginSilent(provider, silence, run.wrap(graph.stream(Map.of())), shape.requests, end);
            time.advanceTimeBy(MINUTE);

            NodeOutput last = end.asMono().block(PATIENCE);
            provider.awaitLeft();
            assertThat(last.state().list(ANSWERS)).hasSize(shape.requests);
            assertThat(last.runUsage().inFlight()).isZero();
            assertThat(last.runUsage().requests())
                    .extracting(RequestUsage::attempt, RequestUsage::source)
                    .containsOnly(tuple(1, known(client, silence)), tuple(2, UsageSource.REPORTED))
                    .hasSize(2 * shape.requests);
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("everySilence")
    @DisplayName("fails when its time is over with a silent provider, its tapped connections closed (T7)")
    void failsSilent(Client client, Shape shape, Silence silence) throws Exception {
        VirtualTimeScheduler time = VirtualTimeScheduler.getOrSet();
        try (SilentProvider provider = new SilentProvider(client, silence, shape.requests)) {
            CompiledGraph graph =
                    shape.graph(ask(client, provider.server.baseUrl(), true), NodeConfig.DEFAULT.withTimeout(MINUTE));
            Sinks.One<NodeOutput> end = Sinks.one();

            beginSilent(provider, silence, run.wrap(graph.stream(Map.of())), shape.requests, end);
            time.advanceTimeBy(MINUTE);

            assertThat(catchThrowableOfType(
                            NodeFailedException.class, () -> end.asMono().block(PATIENCE)))
                    .hasCauseInstanceOf(TimeoutException.class);
            assertCut(settled(), known(client, silence), shape.requests);
            provider.awaitLeft();
        } finally {
            VirtualTimeScheduler.reset();
        }
    }

    @ParameterizedTest(name = "{0}, {1}, tapped: {2}")
    @MethodSource("everyWay")
    @DisplayName("closes the connections of blocking calls that are not answered when the app leaves (T7)")
    void leavingBlocked(Client client, Shape shape, boolean tapped) throws Exception {
        try (SilentProvider provider = new SilentProvider(client, Silence.NO_HEAD, shape.requests)) {
            CompiledGraph graph = shape.graph(
                    ask(client, provider.server.baseUrl(), tapped), NodeConfig.DEFAULT.withRetry(Retry.max(9)));

            Disposable app = run.wrap(graph.invoke(Map.of())).subscribe();
            provider.awaitAsked();
            app.dispose();

            provider.awaitLeft();
            assertThat(settled().requests())
                    .hasSize(shape.requests)
                    .extracting(RequestUsage::source, RequestUsage::outcome)
                    .containsOnly(tuple(UsageSource.MISSING, RequestOutcome.FAILED));
            assertThat(asked).hasValue(shape.requests);
        }
    }
}
