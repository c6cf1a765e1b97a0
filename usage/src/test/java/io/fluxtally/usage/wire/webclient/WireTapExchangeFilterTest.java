package io.fluxtally.usage.wire.webclient;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
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
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.FailingDialect;
import io.fluxtally.usage.wire.Loopback;
import io.fluxtally.usage.wire.TapUnderTest;
import io.fluxtally.usage.wire.WireTap;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.ChannelOption;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.core.ParameterizedTypeReference;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.core.io.buffer.DefaultDataBufferFactory;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.http.codec.ServerSentEvent;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;
import reactor.test.StepVerifier;

/** The filter in a real {@code WebClient} over real HTTP: what the app sees is compared with a client without it. */
class WireTapExchangeFilterTest {

    private static final Duration GENEROUS = Duration.ofSeconds(60);
    private static final String PLAIN = events(
            openAi("a", "null"),
            openAi("é漢😀", "null"),
            openAiFinish("null"),
            openAiUsageOnly(promptTokens(24, 13)),
            "[DONE]");

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

    private WebClient bare() {
        return WebClient.create(server.url());
    }

    private WebClient tapped() {
        return tapped(tap.tap());
    }

    private WebClient tapped(WireTap wireTap) {
        return bare().mutate().filter(new WireTapExchangeFilter(wireTap)).build();
    }

    private static Flux<String> stream(WebClient client, String path) {
        return client.post().uri(path).bodyValue("{}").retrieve().bodyToFlux(String.class);
    }

    private static Flux<String> bytes(WebClient client, String path) {
        return client.post()
                .uri(path)
                .bodyValue("{}")
                .exchangeToFlux(response -> Flux.concat(
                        Flux.just(
                                response.statusCode() + " " + response.headers().contentType()),
                        DataBufferUtils.join(response.bodyToFlux(DataBuffer.class))
                                .map(WireTapExchangeFilterTest::consume)));
    }

    private static String consume(DataBuffer buffer) {
        byte[] bytes = new byte[buffer.readableByteCount()];
        buffer.read(bytes);
        DataBufferUtils.release(buffer);
        return HexFormat.of().formatHex(bytes);
    }

    /** What an app sees of a flux: each element and the end, an error by its type, message and cause. */
    private static List<String> seen(Flux<?> flux) {
        return flux.map(WireTapExchangeFilterTest::brief)
                .map(element -> "next " + element)
                .concatWith(Mono.just("complete"))
                .onErrorResume(error -> Mono.just(describe(error)))
                .collectList()
                .block(GENEROUS);
    }

    private static String brief(Object element) {
        String text = element.toString();
        return text.length() < 10_000 ? text : text.length() + " characters, hash " + text.hashCode();
    }

    private static String describe(Throwable error) {
        Throwable cause = error.getCause();
        return "error " + error.getClass().getName() + ": " + error.getMessage()
                + (cause == null ? "" : " <- " + cause.getClass().getName() + ": " + cause.getMessage());
    }

    /** What both clients see, which must be the same. */
    private List<String> sameForBoth(Function<WebClient, Flux<?>> app) {
        List<String> without = seen(app.apply(bare()));
        List<String> with = seen(app.apply(tapped()));
        assertThat(with).isEqualTo(without);
        return with;
    }

    private static void assertBooked(RequestUsage request, Object outcome, Object source, TokenUsage usage) {
        assertThat(List.of(request.outcome(), request.source())).isEqualTo(List.of(outcome, source));
        assertThat(request.usage()).isEqualTo(usage);
    }

    @Test
    void aPlainStreamIsTheSame() {
        server.on(OPENAI_PATH, Loopback.parts(EVENTS, Flux.fromArray(PLAIN.split("(?<=\n\n)"))));

        assertThat(sameForBoth(client -> stream(client, OPENAI_PATH)))
                .hasSize(6)
                .endsWith("next [DONE]", "complete");
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));

        sameForBoth(client -> bytes(client, OPENAI_PATH));
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    void aStreamInPiecesOfOneByteIsTheSame() {
        server.on(OPENAI_PATH, Loopback.parts("text/event-stream", Flux.fromArray(PLAIN.split(""))));

        sameForBoth(client -> stream(client, OPENAI_PATH));
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    void serverSentEventsWithTheirIdsAndCommentsAreTheSame() {
        server.on(
                DASHSCOPE_PATH, Loopback.document(200, EVENTS, dashScopeEvents(dashScope("a", "stop", tokens(1, 2)))));

        List<String> seen = sameForBoth(client -> client.post()
                .uri(DASHSCOPE_PATH)
                .retrieve()
                .bodyToFlux(new ParameterizedTypeReference<ServerSentEvent<String>>() {}));

        assertThat(seen).hasSize(2);
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    void aCallIsTheSame() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, openAiCall(promptTokens(100, 8))));

        sameForBoth(client -> client.post()
                .uri(OPENAI_PATH)
                .retrieve()
                .toEntity(String.class)
                .map(entity ->
                        entity.getStatusCode() + " " + entity.getHeaders().getContentType() + " " + entity.getBody())
                .flux());

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @Test
    @DisplayName("gzip that the client decodes is read, gzip that it does not decode is missing")
    void gzip() {
        try (Loopback compressing = Loopback.compressing()) {
            compressing.on(OPENAI_PATH, Loopback.parts("text/event-stream", Flux.fromArray(PLAIN.split("(?<=\n\n)"))));
            WebClient decoding = WebClient.builder()
                    .baseUrl(compressing.url())
                    .clientConnector(
                            new ReactorClientHttpConnector(HttpClient.create().compress(true)))
                    .build();
            WebClient ignorant = WebClient.builder()
                    .baseUrl(compressing.url())
                    .clientConnector(new ReactorClientHttpConnector(HttpClient.create()))
                    .defaultHeader("Accept-Encoding", "gzip")
                    .build();
            ExchangeFilterFunction filter = new WireTapExchangeFilter(tap.tap());

            List<String> with = seen(stream(decoding.mutate().filter(filter).build(), OPENAI_PATH));
            assertThat(with).hasSize(6).isEqualTo(seen(stream(decoding, OPENAI_PATH)));
            assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));

            List<String> raw = seen(bytes(ignorant.mutate().filter(filter).build(), OPENAI_PATH));
            assertThat(raw).isEqualTo(seen(bytes(ignorant, OPENAI_PATH)));
            assertThat(raw.get(1)).as("the magic number of gzip").startsWith("next 1f8b");
            assertBooked(tap.only(), COMPLETED, MISSING, null);
        }
    }

    /** An event of 50 MB in pieces, and then the rest of a stream. */
    private void answerFiftyMegabytes() {
        String piece = "x".repeat(64 * 1024);
        int pieces = 50 * 1024 * 1024 / piece.length();
        server.on(
                OPENAI_PATH,
                (request, response) -> response.header("Content-Type", EVENTS)
                        .sendString(Flux.concat(
                                Flux.just(
                                        events(openAi("a", "null")), "data: {\"choices\":[{\"delta\":{\"content\":\""),
                                Flux.just(piece).repeat(pieces - 1),
                                Flux.just(
                                        "\"}}]}\n\n",
                                        events(
                                                openAiFinish("null"),
                                                openAiUsageOnly(promptTokens(24, 13)),
                                                "[DONE]")))));
    }

    @Test
    @DisplayName("a single event of 50 MB is the same, is counted as unread, and the rest still counts")
    void fiftyMegabytes() {
        answerFiftyMegabytes();

        List<String> seen = sameForBoth(client -> stream(
                client.mutate()
                        .codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(-1))
                        .build(),
                OPENAI_PATH));

        assertThat(seen).hasSize(6).endsWith("next [DONE]", "complete");
        assertThat(seen.get(1)).startsWith("next 5242").contains("characters");
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));
        assertThat(tap.tap().unreadEvents()).isEqualTo(1);
    }

    @Test
    @DisplayName("a single event beyond the codec's limit is the same error")
    void fiftyMegabytesBeyondTheCodecsLimit() {
        answerFiftyMegabytes();

        List<String> seen = sameForBoth(client -> stream(client, OPENAI_PATH));

        assertThat(seen.get(1)).startsWith("error ").contains("DataBufferLimitException");
        assertThat(tap.only().source()).isEqualTo(MISSING);
    }

    @Test
    @DisplayName("T7: a hanging provider is left at once when the app cancels")
    void hangingProvider() throws Exception {
        String frames = dashScopeEvents(dashScope("a", "null", tokens(26, 5)), dashScope("b", "null", tokens(26, 6)));
        for (WebClient client : List.of(bare(), tapped())) {
            CountDownLatch left = new CountDownLatch(1);
            server.on(DASHSCOPE_PATH, Loopback.hanging(EVENTS, Flux.just(frames), left));

            assertThat(seen(stream(client, DASHSCOPE_PATH).take(2))).hasSize(3).endsWith("complete");

            assertThat(left.await(60, TimeUnit.SECONDS))
                    .as("the server saw the client leave")
                    .isTrue();
        }
        assertBooked(tap.only(), CANCELLED, PARTIAL, TokenUsage.of(26, 6));
    }

    @Test
    @DisplayName("T7: a connection that is reset in the middle is the same error")
    void reset() {
        String frames = dashScopeEvents(dashScope("a", "null", tokens(26, 5)));

        List<String> seen = sameForBoth(client -> {
            Sinks.Empty<Void> cut = Sinks.empty();
            server.on(DASHSCOPE_PATH, Loopback.reset(EVENTS, Flux.just(frames), cut));
            return stream(client, DASHSCOPE_PATH).doOnNext(event -> cut.tryEmitEmpty());
        });

        assertThat(seen).hasSize(2);
        assertThat(seen.get(1)).startsWith("error ");
        assertBooked(tap.only(), FAILED, PARTIAL, TokenUsage.of(26, 5));
    }

    @Test
    void aRefusedConnectionIsTheSameErrorAndNothingIsBooked() throws IOException {
        int closed;
        try (ServerSocket socket = new ServerSocket(0)) {
            closed = socket.getLocalPort();
        }
        String url = "http://127.0.0.1:" + closed + OPENAI_PATH;

        List<String> seen = sameForBoth(client -> stream(client, url));

        assertThat(seen)
                .singleElement()
                .asString()
                .contains("WebClientRequestException")
                .contains("refused");
        assertThat(tap.drain()).isEmpty();
    }

    @Test
    @DisplayName("T7: a provider that is silent until the client gives up is missing")
    void responseTimeout() {
        List<String> seen = sameForBoth(client -> {
            server.on(OPENAI_PATH, Loopback.silence(new CountDownLatch(1), new CountDownLatch(1)));
            return stream(
                    client.mutate()
                            .clientConnector(new ReactorClientHttpConnector(
                                    HttpClient.create().responseTimeout(Duration.ofMillis(200))))
                            .build(),
                    OPENAI_PATH);
        });

        assertThat(seen).singleElement().asString().contains("ReadTimeoutException");
        assertBooked(tap.only(), FAILED, MISSING, null);
    }

    @Test
    @DisplayName("T7: a request that is cancelled before the response is missing")
    void cancelBeforeTheHeaders() throws Exception {
        for (WebClient client : List.of(bare(), tapped())) {
            CountDownLatch came = new CountDownLatch(1);
            CountDownLatch left = new CountDownLatch(1);
            server.on(OPENAI_PATH, Loopback.silence(came, left));
            var subscription = stream(client, OPENAI_PATH).subscribe();
            assertThat(came.await(60, TimeUnit.SECONDS)).isTrue();

            subscription.dispose();

            assertThat(left.await(60, TimeUnit.SECONDS))
                    .as("the server saw the client leave")
                    .isTrue();
        }
        assertBooked(tap.only(), CANCELLED, MISSING, null);
    }

    @Test
    void aRequestThatIsNeverSubscribedIsNotBooked() {
        stream(tapped(), OPENAI_PATH);

        assertThat(tap.drain()).isEmpty();
    }

    @Test
    @DisplayName("T8: each subscription is a request of its own")
    void resubscription() {
        server.on(OPENAI_PATH, Loopback.document(200, EVENTS, PLAIN));
        Flux<String> stream = stream(tapped(), OPENAI_PATH);

        stream.blockLast(GENEROUS);
        stream.blockLast(GENEROUS);

        assertThat(tap.drain()).hasSize(2).extracting(RequestUsage::requestId).doesNotHaveDuplicates();
    }

    @ParameterizedTest
    @ValueSource(ints = {400, 429, 500, 503})
    void anErrorStatusIsTheSameErrorAndCostsNothing(int status) {
        server.on(OPENAI_PATH, Loopback.document(status, JSON, "{\"error\":{\"message\":\"no\"}}"));

        List<String> seen = sameForBoth(client -> stream(client, OPENAI_PATH));
        assertThat(seen).singleElement().asString().contains("WebClientResponseException");
        assertBooked(tap.only(), REJECTED, REPORTED, TokenUsage.ZERO);

        sameForBoth(client -> client.post()
                .uri(OPENAI_PATH)
                .retrieve()
                .onStatus(
                        code -> code.isError(),
                        response -> response.bodyToMono(String.class).map(IllegalStateException::new))
                .bodyToFlux(String.class));
        assertBooked(tap.only(), REJECTED, REPORTED, TokenUsage.ZERO);

        sameForBoth(client -> client.post()
                .uri(OPENAI_PATH)
                .exchangeToMono(response -> response.createException())
                .map(error -> error.getMessage()
                        + error.getResponseBodyAsString()
                        + error.getRequest().getURI())
                .flux());
        assertBooked(tap.only(), REJECTED, REPORTED, TokenUsage.ZERO);
    }

    @Test
    void aBodyThatTheAppDoesNotReadIsBookedAllTheSame() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, openAiCall(promptTokens(100, 8))));

        sameForBoth(client -> client.post()
                .uri(OPENAI_PATH)
                .retrieve()
                .toBodilessEntity()
                .map(entity -> entity.getStatusCode().toString())
                .flux());

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @Test
    @DisplayName("T22: a sink that throws is not noticed by the app")
    void aSinkThatThrows() {
        server.on(OPENAI_PATH, Loopback.parts(EVENTS, Flux.fromArray(PLAIN.split("(?<=\n\n)"))));
        UsageRecorder throwing = UsageRecorder.withSinks(request -> {
            throw new AssertionError("sink");
        });
        long failures = MeasuringFailures.count();

        List<String> with =
                seen(stream(tapped(WireTap.builder().recorder(throwing).build()), OPENAI_PATH));

        assertThat(with).isEqualTo(seen(stream(bare(), OPENAI_PATH))).endsWith("complete");
        assertThat(MeasuringFailures.count()).isEqualTo(failures + 1);
        assertThat(throwing.processSum().total()).isEqualTo(TokenUsage.of(24, 13));
    }

    @ParameterizedTest
    @EnumSource(FailingDialect.Method.class)
    @DisplayName("T22: a dialect that throws is not noticed by the app")
    void aDialectThatThrows(FailingDialect.Method method) {
        server.on(
                FailingDialect.PATH,
                Loopback.document(
                        200,
                        EVENTS,
                        events("{\"object\":\"x\",\"usage\":{\"tokens\":1}}", "{\"usage\":{}}", "[DONE]")));
        TapUnderTest failing = TapUnderTest.with(settings -> settings.dialect(new FailingDialect(method)));
        long failures = MeasuringFailures.count();

        List<String> with = seen(stream(tapped(failing.tap()), FailingDialect.PATH));

        assertThat(with).isEqualTo(seen(stream(bare(), FailingDialect.PATH))).hasSize(4);
        assertThat(MeasuringFailures.count()).isGreaterThan(failures);
    }

    @Test
    @DisplayName("T23: another endpoint's JSON is the same and not booked, whatever is in it")
    void foreign() {
        server.on("/api/surveys", Loopback.document(200, JSON, "{\"choices\":[],\"usage\":{\"prompt_tokens\":5}}"));

        sameForBoth(client -> stream(client, "/api/surveys"));

        assertThat(tap.drain()).isEmpty();
    }

    @Test
    @DisplayName("T23: what a GET brings is the same and not booked")
    void get() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, openAiCall(promptTokens(1, 2))));

        sameForBoth(client -> client.get().uri(OPENAI_PATH).retrieve().bodyToFlux(String.class));

        assertThat(tap.drain()).isEmpty();
    }

    @Test
    void theDemandOfTheAppIsPassedOnAsItIs() {
        assertThat(demand(false)).isEqualTo(demand(true)).startsWith(1L, 2L, 3L, Long.MAX_VALUE);
    }

    /** What a body's publisher is asked for, with or without the tap. */
    private List<Long> demand(boolean withTap) {
        List<Long> demand = new ArrayList<>();
        WebClient.Builder client = WebClient.builder()
                .exchangeFunction(request -> Mono.just(ClientResponse.create(HttpStatus.OK)
                        .header("Content-Type", EVENTS)
                        .body(Flux.just(PLAIN.split("(?<=\n)"))
                                .map(text ->
                                        (DataBuffer) DefaultDataBufferFactory.sharedInstance.wrap(text.getBytes(UTF_8)))
                                .doOnRequest(demand::add))
                        .build()));
        if (withTap) {
            client.filter(new WireTapExchangeFilter(tap.tap()));
        }
        StepVerifier.create(
                        client.build()
                                .post()
                                .uri("http://x" + OPENAI_PATH)
                                .exchangeToFlux(response -> response.bodyToFlux(DataBuffer.class)),
                        0)
                .thenRequest(1)
                .expectNextCount(1)
                .thenRequest(2)
                .expectNextCount(2)
                .thenRequest(3)
                .expectNextCount(3)
                .thenRequest(Long.MAX_VALUE)
                .expectNextCount(4)
                .verifyComplete();
        return demand;
    }

    @Test
    void anAppThatAsksOneByOneGetsTheSame() {
        server.on(OPENAI_PATH, Loopback.parts(EVENTS, Flux.fromArray(PLAIN.split("(?<=\n\n)"))));

        sameForBoth(client -> stream(client, OPENAI_PATH).limitRate(1));

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    @DisplayName("the run is found in the Reactor context, on whatever thread it is subscribed")
    void runInTheContext() {
        server.on(OPENAI_PATH, Loopback.document(200, EVENTS, PLAIN));
        RunScope run = RunScope.start();
        RunScope other = RunScope.start();

        try (var binding = other.bind()) {
            assertThat(binding).isNotNull();
            run.wrap(stream(tapped(), OPENAI_PATH).subscribeOn(Schedulers.boundedElastic()))
                    .blockLast(GENEROUS);
        }

        assertThat(run.usage().requests()).containsExactly(tap.only());
        assertThat(other.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("without a scope in the context the run is found on the thread that subscribes")
    void runOnTheThread() {
        server.on(OPENAI_PATH, Loopback.document(200, EVENTS, PLAIN));
        RunScope run = RunScope.start();
        Flux<String> stream = stream(tapped(), OPENAI_PATH);

        try (var binding = run.bind()) {
            assertThat(binding).isNotNull();
            stream.blockLast(GENEROUS);
        }
        stream.blockLast(GENEROUS);

        assertThat(run.usage().total()).isEqualTo(TokenUsage.of(24, 13));
        assertThat(tap.recorder().unattributed()).isEqualTo(1);
    }

    @Test
    @DisplayName("T18: 200 concurrent streams of mixed dialects are each booked to their own run")
    void concurrent() {
        int streams = 200;
        server.on(OPENAI_PATH, (request, response) -> {
            long i = Long.parseLong(request);
            return Loopback.parts(
                            EVENTS,
                            Flux.just(
                                            openAi("a", "null"),
                                            openAiFinish("null"),
                                            openAiUsageOnly(promptTokens(1000 + i, i)),
                                            "[DONE]")
                                    .map(chunk -> events(chunk)))
                    .to(request, response);
        });
        server.on(DASHSCOPE_PATH, (request, response) -> {
            long i = Long.parseLong(request);
            return Loopback.parts(
                            EVENTS,
                            Flux.just(
                                            dashScope("a", "null", tokens(1000 + i, 0)),
                                            dashScope("b", "stop", tokens(1000 + i, i)))
                                    .map(frame -> dashScopeEvents(frame)))
                    .to(request, response);
        });
        WebClient client = tapped();
        List<RunScope> runs = new ArrayList<>();
        for (int i = 0; i < streams; i++) {
            runs.add(RunScope.start("run-" + i));
        }

        Flux.range(0, streams)
                .flatMap(
                        i -> runs.get(i)
                                .wrap(client.post()
                                        .uri(i % 2 == 0 ? OPENAI_PATH : DASHSCOPE_PATH)
                                        .bodyValue(Integer.toString(i))
                                        .retrieve()
                                        .bodyToFlux(String.class)),
                        streams)
                .blockLast(GENEROUS);

        for (int i = 0; i < streams; i++) {
            assertThat(runs.get(i).usage().requests())
                    .as("requests of run %d", i)
                    .hasSize(1);
            assertThat(runs.get(i).usage().total()).as("run %d", i).isEqualTo(TokenUsage.of(1000 + i, i));
            assertThat(runs.get(i).usage().isComplete()).isTrue();
        }
        assertThat(tap.recorder().unattributed()).isZero();
    }

    @Test
    @DisplayName("the figure is booked before the app is told of the end, 500 times out of 500")
    void bookedBeforeTheEnd() {
        server.on(OPENAI_PATH, Loopback.parts(EVENTS, Flux.fromArray(PLAIN.split("(?<=\n\n)"))));
        server.on(DASHSCOPE_PATH, Loopback.document(200, JSON, dashScope("a", "stop", tokens(100, 8))));
        WebClient client = tapped();
        int misses = 0;

        for (int i = 0; i < 500; i++) {
            RunScope streamed = RunScope.start();
            streamed.wrap(stream(client, OPENAI_PATH)).blockLast(GENEROUS);
            misses += streamed.usage().total().equals(TokenUsage.of(24, 13)) ? 0 : 1;

            RunScope left = RunScope.start();
            left.wrap(stream(client, OPENAI_PATH).takeUntil("[DONE]"::equals)).blockLast(GENEROUS);
            misses += left.usage().total().equals(TokenUsage.of(24, 13)) ? 0 : 1;

            RunScope called = RunScope.start();
            called.wrap(client.post().uri(DASHSCOPE_PATH).retrieve().bodyToMono(String.class))
                    .block(GENEROUS);
            misses += called.usage().total().equals(TokenUsage.of(100, 8)) ? 0 : 1;
        }

        assertThat(misses).isZero();
    }

    @Test
    @DisplayName(
            "buffers are released exactly as without the tap: read to the end, cancelled, failed, too long, ignored")
    void buffersAreReleased() {
        assertThat(unreleasedByBoth(client -> stream(client, OPENAI_PATH))).isZero();
        assertThat(unreleasedByBoth(client -> stream(client, OPENAI_PATH).take(1)))
                .isZero();
        assertThat(unreleasedByBoth(client -> stream(client, OPENAI_PATH).doOnNext(event -> {
                    throw new IllegalStateException("the app fails");
                })))
                .isZero();
        assertThat(unreleasedByBoth(client -> client.post()
                        .uri(OPENAI_PATH)
                        .retrieve()
                        .toBodilessEntity()
                        .map(Object::toString)
                        .flux()))
                .isZero();
        // Spring loses a buffer here by itself.
        unreleasedByBoth(client -> stream(
                client.mutate()
                        .codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(16))
                        .build(),
                OPENAI_PATH));
        // An app that keeps its buffers keeps them with the tap as well.
        assertThat(unreleasedByBoth(client -> client.post()
                        .uri(OPENAI_PATH)
                        .exchangeToFlux(response -> response.bodyToFlux(DataBuffer.class))
                        .map(buffer -> "kept")))
                .isPositive();
    }

    private long unreleasedByBoth(Function<WebClient, Flux<String>> app) {
        long without = unreleased(false, app);
        // What is lost at all is lost in pieces as large as the network happened to bring.
        assertThat(unreleased(true, app) > 0).isEqualTo(without > 0);
        return without;
    }

    /** How much memory of a response's buffers is not given back when the app is done and the connection is closed. */
    private long unreleased(boolean withTap, Function<WebClient, Flux<String>> app) {
        server.on(OPENAI_PATH, Loopback.document(200, EVENTS, PLAIN.repeat(100)));
        UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);
        LoopResources loop = LoopResources.create("released", 1, true);
        ConnectionProvider connections = ConnectionProvider.create("released", 1);
        WebClient.Builder client = WebClient.builder()
                .baseUrl(server.url())
                .clientConnector(new ReactorClientHttpConnector(
                        HttpClient.create(connections).runOn(loop, false).option(ChannelOption.ALLOCATOR, allocator)));
        if (withTap) {
            client.filter(new WireTapExchangeFilter(tap.tap()));
        }

        seen(app.apply(client.build()));

        connections.disposeLater().block(GENEROUS);
        loop.disposeLater(Duration.ZERO, GENEROUS).block(GENEROUS);
        return allocator.metric().usedDirectMemory() + allocator.metric().usedHeapMemory();
    }

    @Test
    void aBufferPassesWithItsPositionsAndItsIdentity() {
        AtomicReference<DataBuffer> given = new AtomicReference<>();
        DataBuffer buffer =
                DefaultDataBufferFactory.sharedInstance.wrap(ByteBuffer.wrap(("xx" + PLAIN).getBytes(UTF_8)));
        buffer.readPosition(2);
        ExchangeFilterFunction filter = new WireTapExchangeFilter(tap.tap());

        filter.filter(
                        ClientRequest.create(HttpMethod.POST, URI.create("http://x" + OPENAI_PATH))
                                .build(),
                        request -> Mono.just(ClientResponse.create(HttpStatus.OK)
                                .header("Content-Type", EVENTS)
                                .body(Flux.just(buffer))
                                .build()))
                .flatMapMany(response -> response.bodyToFlux(DataBuffer.class))
                .doOnNext(given::set)
                .blockLast(GENEROUS);

        assertThat(given.get()).isSameAs(buffer);
        assertThat(buffer.readPosition()).isEqualTo(2);
        assertThat(buffer.readableByteCount()).isEqualTo(PLAIN.getBytes(UTF_8).length);
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    void aCancelFromAnotherThreadInTheMiddleBooksOnce() throws Exception {
        CountDownLatch left = new CountDownLatch(1);
        server.on(
                DASHSCOPE_PATH,
                Loopback.hanging(EVENTS, Flux.just(dashScopeEvents(dashScope("a", "null", tokens(26, 5)))), left));
        CountDownLatch first = new CountDownLatch(1);
        BaseSubscriber<String> app = new BaseSubscriber<>() {
            @Override
            protected void hookOnNext(String value) {
                first.countDown();
            }
        };
        stream(tapped(), DASHSCOPE_PATH).subscribe(app);
        assertThat(first.await(60, TimeUnit.SECONDS)).isTrue();

        app.cancel();
        app.cancel();

        assertBooked(tap.only(), CANCELLED, PARTIAL, TokenUsage.of(26, 5));
        assertThat(left.await(60, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aFilterWithoutATapIsRefused() {
        assertThatThrownBy(() -> new WireTapExchangeFilter(null))
                .isInstanceOf(NullPointerException.class)
                .hasMessage("tap");
    }
}
