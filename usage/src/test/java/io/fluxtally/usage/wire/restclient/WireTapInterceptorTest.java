package io.fluxtally.usage.wire.restclient;

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
import static io.fluxtally.usage.wire.Frames.openAiCall;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.JSON;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.FailingDialect;
import io.fluxtally.usage.wire.Loopback;
import io.fluxtally.usage.wire.TapUnderTest;
import io.fluxtally.usage.wire.WireTap;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.client.BufferingClientHttpRequestFactory;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.ClientHttpRequestInterceptor;
import org.springframework.http.client.ClientHttpResponse;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientException;
import org.springframework.web.client.RestTemplate;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

/** The interceptor in a real {@code RestClient} over real HTTP: what the app sees is compared with a client without it. */
class WireTapInterceptorTest {

    private static final String CALL = openAiCall(promptTokens(100, 8));
    private static final String STREAM =
            dashScopeEvents(dashScope("é漢😀", "null", tokens(26, 1)), dashScope("b", "stop", tokens(26, 8)));

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

    /** The clients that a RestClient may stand on; each with a read timeout. */
    enum Below {
        URL_CONNECTION {
            @Override
            ClientHttpRequestFactory factory(Duration timeout) {
                SimpleClientHttpRequestFactory factory = new SimpleClientHttpRequestFactory();
                factory.setReadTimeout(timeout);
                return factory;
            }
        },
        JDK_HTTP_CLIENT {
            @Override
            ClientHttpRequestFactory factory(Duration timeout) {
                JdkClientHttpRequestFactory factory = new JdkClientHttpRequestFactory(HttpClient.newHttpClient());
                factory.setReadTimeout(timeout);
                return factory;
            }
        };

        abstract ClientHttpRequestFactory factory(Duration timeout);
    }

    static Below[] clients() {
        return Below.values();
    }

    /** What an app does with a client; what it sees is compared. */
    @FunctionalInterface
    private interface App {
        Object use(RestClient client) throws IOException;
    }

    private RestClient bare(Below below) {
        return RestClient.builder()
                .baseUrl(server.url())
                .requestFactory(below.factory(Duration.ofSeconds(60)))
                .build();
    }

    private RestClient tapped(RestClient client, WireTap wireTap) {
        return client.mutate()
                .requestInterceptor(new WireTapInterceptor(wireTap))
                .build();
    }

    private static String seen(RestClient client, App app) {
        try {
            return "value " + app.use(client);
        } catch (Exception error) {
            Throwable cause = error.getCause();
            return "error " + error.getClass().getName() + ": " + error.getMessage()
                    + (cause == null ? "" : " <- " + cause.getClass().getName() + ": " + cause.getMessage());
        }
    }

    private String sameForBoth(Below below, App app) {
        String without = seen(bare(below), app);
        String with = seen(tapped(bare(below), tap.tap()), app);
        assertThat(with).isEqualTo(without);
        return with;
    }

    private static RestClient.RequestBodySpec post(RestClient client, String path) {
        return client.post().uri(path).contentType(MediaType.APPLICATION_JSON).body("{}");
    }

    private static void assertBooked(RequestUsage request, Object outcome, Object source, TokenUsage usage) {
        assertThat(List.of(request.outcome(), request.source())).isEqualTo(List.of(outcome, source));
        assertThat(request.usage()).isEqualTo(usage);
    }

    @ParameterizedTest
    @MethodSource("clients")
    void aBodyThatIsReadToItsEndIsTheSame(Below below) {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));

        assertThat(sameForBoth(below, client -> {
                    var entity = post(client, OPENAI_PATH).retrieve().toEntity(String.class);
                    return entity.getStatusCode() + " " + entity.getHeaders().getContentType() + " " + entity.getBody();
                }))
                .isEqualTo("value 200 OK application/json " + CALL);
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));

        sameForBoth(
                below,
                client -> Arrays.toString(post(client, OPENAI_PATH).retrieve().body(byte[].class)));
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("a body that Jackson does not read to its end is the same and counts in full")
    void jackson(Below below) {
        for (String rest : List.of("", "\n\n", " ".repeat(100_000), " garbage")) {
            server.on(OPENAI_PATH, Loopback.parts(JSON, Flux.just(CALL.substring(0, 20), CALL.substring(20), rest)));

            assertThat(sameForBoth(
                            below,
                            client -> post(client, OPENAI_PATH)
                                    .retrieve()
                                    .body(Map.class)
                                    .get("id")))
                    .isEqualTo("value chatcmpl-1");
            assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
        }
    }

    @ParameterizedTest
    @MethodSource("clients")
    void aStreamThatIsReadByteByByteIsTheSame(Below below) {
        server.on(DASHSCOPE_PATH, Loopback.parts(EVENTS, Flux.fromArray(STREAM.split("(?<=\n\n)"))));

        sameForBoth(
                below,
                client -> post(client, DASHSCOPE_PATH).exchange((request, response) -> {
                    List<Integer> bytes = new ArrayList<>();
                    InputStream body = response.getBody();
                    for (int b = body.read(); b >= 0; b = body.read()) {
                        bytes.add(b);
                    }
                    return bytes + " and then " + body.read();
                }));

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(26, 8));
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("T7: a response that is closed early keeps what was read, graded partial")
    void closedEarly(Below below) {
        String first = dashScopeEvents(dashScope("a", "null", tokens(26, 1)));
        server.on(DASHSCOPE_PATH, Loopback.document(200, EVENTS, first + STREAM));

        sameForBoth(
                below,
                client -> post(client, DASHSCOPE_PATH)
                        .exchange((request, response) ->
                                new String(response.getBody().readNBytes(first.length()), UTF_8)));

        assertBooked(tap.only(), CANCELLED, PARTIAL, TokenUsage.of(26, 1));
    }

    @ParameterizedTest
    @MethodSource("clients")
    void aBodyThatIsNotReadAtAllIsMissing(Below below) {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));

        sameForBoth(
                below,
                client ->
                        post(client, OPENAI_PATH).retrieve().toBodilessEntity().getStatusCode());

        assertBooked(tap.only(), CANCELLED, MISSING, null);
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("an app that keeps the stream and closes only that ends the request")
    void onlyTheStreamIsClosed(Below below) {
        String first = dashScopeEvents(dashScope("a", "null", tokens(26, 1)));
        server.on(DASHSCOPE_PATH, Loopback.document(200, EVENTS, first + STREAM));

        sameForBoth(below, client -> {
            InputStream body = post(client, DASHSCOPE_PATH).exchange((request, response) -> response.getBody(), false);
            try (body) {
                return new String(body.readNBytes(first.length()), UTF_8);
            }
        });

        assertBooked(tap.only(), CANCELLED, PARTIAL, TokenUsage.of(26, 1));
    }

    @ParameterizedTest
    @MethodSource("clients")
    void skippedBytesAreReadTooAndTheRestIsTheSame(Below below) {
        server.on(DASHSCOPE_PATH, Loopback.document(200, EVENTS, STREAM));

        sameForBoth(
                below,
                client -> post(client, DASHSCOPE_PATH).exchange((request, response) -> {
                    InputStream body = response.getBody();
                    body.skipNBytes(150);
                    long skipped = 0;
                    while (skipped < 50) {
                        skipped += body.skip(50 - skipped);
                    }
                    byte[] some = new byte[10];
                    int none = body.read(some, 3, 0);
                    int read = body.readNBytes(some, 3, 4);
                    return none + " " + read + " " + Arrays.toString(some) + new String(body.readAllBytes(), UTF_8)
                            + body.skip(5);
                }));

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(26, 8));
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("T7: a connection that is reset in the middle is the same error")
    void reset(Below below) {
        String first = dashScopeEvents(dashScope("a", "null", tokens(26, 5)));

        String seen = sameForBoth(below, client -> {
            Sinks.Empty<Void> cut = Sinks.empty();
            server.on(DASHSCOPE_PATH, Loopback.reset(EVENTS, Flux.just(first), cut));
            return post(client, DASHSCOPE_PATH).exchange((request, response) -> {
                InputStream body = response.getBody();
                String read = new String(body.readNBytes(first.length()), UTF_8);
                cut.tryEmitEmpty();
                return read + body.read();
            });
        });

        assertThat(seen).startsWith("error ");
        assertBooked(tap.only(), FAILED, PARTIAL, TokenUsage.of(26, 5));
    }

    @ParameterizedTest
    @MethodSource("clients")
    void aRefusedConnectionIsTheSameErrorAndNothingIsBooked(Below below) throws IOException {
        int closed;
        try (ServerSocket socket = new ServerSocket(0)) {
            closed = socket.getLocalPort();
        }

        String seen = sameForBoth(
                below,
                client -> post(client, "http://127.0.0.1:" + closed + OPENAI_PATH)
                        .retrieve()
                        .body(String.class));

        assertThat(seen).startsWith("error ").contains("ResourceAccessException");
        assertThat(tap.drain()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("T7: a provider that is silent until the client gives up is missing")
    void responseTimeout(Below below) {
        server.on(OPENAI_PATH, Loopback.silence(new CountDownLatch(1), new CountDownLatch(1)));

        String seen = sameForBoth(below, client -> {
            RestClient impatient = client.mutate()
                    .requestFactory(below.factory(Duration.ofMillis(200)))
                    .build();
            try {
                return post(impatient, OPENAI_PATH).retrieve().body(String.class);
            } catch (RestClientException error) {
                // By what it comes from: a client notices its one timeout in this place or that, as the load is.
                return "timeout: " + (error.getMostSpecificCause() instanceof IOException);
            }
        });

        assertThat(seen).isEqualTo("value timeout: true");
        assertBooked(tap.only(), FAILED, MISSING, null);
    }

    @ParameterizedTest
    @MethodSource("clients")
    void anErrorStatusIsTheSameErrorAndCostsNothing(Below below) {
        for (int status : new int[] {400, 429, 500}) {
            server.on(OPENAI_PATH, Loopback.document(status, JSON, "{\"error\":{\"message\":\"no\"}}"));

            assertThat(sameForBoth(
                            below,
                            client -> post(client, OPENAI_PATH).retrieve().body(String.class)))
                    .startsWith("error org.springframework.web.client.Http");
            assertBooked(tap.only(), REJECTED, REPORTED, TokenUsage.ZERO);

            sameForBoth(
                    below,
                    client -> post(client, OPENAI_PATH)
                            .retrieve()
                            .onStatus(HttpStatusCode::isError, (request, response) -> {
                                throw new IllegalStateException("unread " + response.getStatusText());
                            })
                            .body(String.class));
            assertBooked(tap.only(), REJECTED, REPORTED, TokenUsage.ZERO);
        }
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("gzip that nobody decodes is the same bytes and missing")
    void gzip(Below below) {
        try (Loopback compressing = Loopback.compressing()) {
            compressing.on(OPENAI_PATH, Loopback.parts(JSON, Flux.just(CALL)));

            String seen = sameForBoth(
                    below,
                    client -> Arrays.toString(client.post()
                            .uri(compressing.url() + OPENAI_PATH)
                            .header("Accept-Encoding", "gzip")
                            .retrieve()
                            .body(byte[].class)));

            assertThat(seen).startsWith("value [31, -117");
            assertBooked(tap.only(), COMPLETED, MISSING, null);
        }
    }

    @ParameterizedTest
    @MethodSource("clients")
    @DisplayName("a single event of 50 MB is the same, is counted as unread, and the rest still counts")
    void fiftyMegabytes(Below below) {
        String piece = "x".repeat(64 * 1024);
        server.on(
                DASHSCOPE_PATH,
                (request, response) -> response.header("Content-Type", EVENTS)
                        .sendString(Flux.concat(
                                Flux.just("data: {\"output\":{\"text\":\""),
                                Flux.just(piece).repeat(799),
                                Flux.just("\"}}\n\n" + STREAM))));

        String seen = sameForBoth(
                below,
                client -> post(client, DASHSCOPE_PATH).exchange((request, response) -> {
                    InputStream body = response.getBody();
                    byte[] buffer = new byte[10_000];
                    long hash = 1;
                    long length = 0;
                    for (int count = body.read(buffer); count >= 0; count = body.read(buffer)) {
                        length += count;
                        for (int i = 0; i < count; i++) {
                            hash = hash * 31 + buffer[i];
                        }
                    }
                    return length + " " + hash;
                }));

        assertThat(seen).startsWith("value 5242");
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(26, 8));
        assertThat(tap.tap().unreadEvents()).isEqualTo(1);
    }

    @Test
    @DisplayName("T22: a sink that throws is not noticed by the app")
    void aSinkThatThrows() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));
        UsageRecorder throwing = UsageRecorder.withSinks(request -> {
            throw new AssertionError("sink");
        });

        RestClient client = tapped(
                bare(Below.URL_CONNECTION), WireTap.builder().recorder(throwing).build());

        assertThat(post(client, OPENAI_PATH).retrieve().body(String.class)).isEqualTo(CALL);
        assertThat(throwing.processSum().total()).isEqualTo(TokenUsage.of(100, 8));
    }

    @ParameterizedTest
    @EnumSource(FailingDialect.Method.class)
    @DisplayName("T22: a dialect that throws is not noticed by the app")
    void aDialectThatThrows(FailingDialect.Method method) {
        String body = events("{\"object\":\"x\",\"usage\":{\"tokens\":1}}", "{\"usage\":{}}", "[DONE]");
        server.on(FailingDialect.PATH, Loopback.document(200, EVENTS, body));
        TapUnderTest failing = TapUnderTest.with(settings -> settings.dialect(new FailingDialect(method)));
        long failures = MeasuringFailures.count();

        RestClient client = tapped(bare(Below.URL_CONNECTION), failing.tap());

        assertThat(post(client, FailingDialect.PATH).retrieve().body(String.class))
                .isEqualTo(body);
        assertThat(MeasuringFailures.count()).isGreaterThan(failures);
    }

    @Test
    @DisplayName("T23: another endpoint's JSON and what a GET brings are the same and not booked")
    void foreign() {
        String body = "{\"choices\":[],\"usage\":{\"prompt_tokens\":5},\"output\":{},\"request_id\":\"R\"}";
        server.on("/api/surveys", Loopback.document(200, JSON, body));
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));

        sameForBoth(
                Below.URL_CONNECTION,
                client -> post(client, "/api/surveys").retrieve().body(String.class));
        sameForBoth(
                Below.URL_CONNECTION,
                client -> client.get().uri(OPENAI_PATH).retrieve().body(String.class));

        assertThat(tap.drain()).isEmpty();
    }

    @Test
    @DisplayName("the run is found on the thread, and the figure is there when the call returns")
    void runOnTheThread() throws Exception {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));
        RestClient client = tapped(bare(Below.JDK_HTTP_CLIENT), tap.tap());
        for (int i = 0; i < 100; i++) {
            RunScope run = RunScope.start();
            run.call(() -> post(client, OPENAI_PATH).retrieve().body(String.class));
            assertThat(run.usage().total()).isEqualTo(TokenUsage.of(100, 8));
        }

        post(client, OPENAI_PATH).retrieve().body(String.class);
        assertThat(tap.recorder().unattributed()).isEqualTo(1);
    }

    @Test
    void servesARestTemplateAsWell() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));
        RestTemplate template = new RestTemplate();
        template.setInterceptors(List.of(new WireTapInterceptor(tap.tap())));

        assertThat(template.postForObject(server.url() + OPENAI_PATH, "{}", String.class))
                .isEqualTo(CALL);

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    /** A response below the interceptor whose body does as a test says. */
    private static ClientHttpResponse response(InputStream body, AtomicInteger closed) {
        HttpHeaders headers = new HttpHeaders();
        headers.setContentType(MediaType.APPLICATION_JSON);
        return new ClientHttpResponse() {
            @Override
            public HttpStatusCode getStatusCode() {
                return HttpStatusCode.valueOf(200);
            }

            @Override
            public String getStatusText() {
                return "OK";
            }

            @Override
            public HttpHeaders getHeaders() {
                return headers;
            }

            @Override
            public InputStream getBody() {
                return body;
            }

            @Override
            public void close() {
                closed.incrementAndGet();
            }
        };
    }

    private RestClient answering(ClientHttpResponse response) {
        return RestClient.builder()
                .requestInterceptor(new WireTapInterceptor(tap.tap()))
                .requestInterceptor((request, body, execution) -> response)
                .build();
    }

    @Test
    @DisplayName("T7: an IOException in the middle of the body is passed on as it is")
    void ioExceptionInTheMiddle() {
        IOException broken = new IOException("broken");
        AtomicInteger closed = new AtomicInteger();
        InputStream body = new InputStream() {
            private final InputStream start =
                    new ByteArrayInputStream(CALL.substring(0, 50).getBytes(UTF_8));

            @Override
            public int read() throws IOException {
                throw new AssertionError("only the bulk read is asked");
            }

            @Override
            public int read(byte[] bytes, int offset, int length) throws IOException {
                int count = start.read(bytes, offset, length);
                if (count < 0) {
                    throw broken;
                }
                return count;
            }
        };

        List<Throwable> thrown = new ArrayList<>();
        post(answering(response(body, closed)), "http://x" + OPENAI_PATH).exchange((request, response) -> {
            try {
                return response.getBody().readAllBytes();
            } catch (IOException error) {
                thrown.add(error);
                return null;
            }
        });

        assertThat(thrown).singleElement().isSameAs(broken);
        assertThat(closed).hasValue(1);
        assertBooked(tap.only(), FAILED, MISSING, null);
    }

    @Test
    void theResponseBelowIsAskedForItsBodyOnceAndClosedWithItsStream() throws IOException {
        AtomicInteger closedStreams = new AtomicInteger();
        InputStream body = new ByteArrayInputStream(CALL.getBytes(UTF_8)) {
            @Override
            public void close() throws IOException {
                closedStreams.incrementAndGet();
                super.close();
            }
        };
        AtomicInteger closed = new AtomicInteger();

        post(answering(response(body, closed)), "http://x" + OPENAI_PATH).exchange((request, response) -> {
            assertThat(response.getBody()).isSameAs(response.getBody());
            assertThat(response.getBody().available()).isEqualTo(CALL.length());
            response.getBody().close();
            return null;
        });

        assertThat(closedStreams).hasValue(1);
        assertThat(closed).hasValue(1);
    }

    @Test
    @DisplayName("a response that can be read again is, behind another interceptor as behind none")
    void aBodyThatIsReadTwice() {
        server.on(OPENAI_PATH, Loopback.document(200, JSON, CALL));
        ClientHttpRequestInterceptor logging = (request, body, execution) -> {
            ClientHttpResponse response = execution.execute(request, body);
            response.getBody().readAllBytes();
            return response;
        };
        RestClient bare = bare(Below.values()[0])
                .mutate()
                .requestFactory(
                        new BufferingClientHttpRequestFactory(Below.values()[0].factory(Duration.ofSeconds(60))))
                .requestInterceptor(logging)
                .build();

        String seen = tapped(bare, tap.tap())
                .post()
                .uri(OPENAI_PATH)
                .contentType(MediaType.APPLICATION_JSON)
                .body("{}")
                .retrieve()
                .body(String.class);

        assertThat(seen).isEqualTo(CALL);
        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }
}
