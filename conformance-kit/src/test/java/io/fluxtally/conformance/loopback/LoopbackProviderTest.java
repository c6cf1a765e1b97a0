package io.fluxtally.conformance.loopback;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

@Timeout(60)
class LoopbackProviderTest {

    private static final String ONE = "data: {\"text\":\"多云\"}\n\n";

    private static final String TWO = "data: {\"text\":\"!\"}\n\n";

    private static final String LAST = "data: [DONE]\n";

    private static final Response STREAM = Response.of(ONE + TWO + LAST);

    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @Test
    void aStreamGoesOutEventByEventAndByteForByte() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(STREAM));
                RawClient client = new RawClient(provider)) {
            String head = client.post("/v1/chat/completions");

            assertThat(head)
                    .startsWith("HTTP/1.1 200 OK\n")
                    .contains("content-type: text/event-stream;charset=UTF-8\n")
                    .contains("transfer-encoding: chunked\n");
            assertThat(client.texts()).containsExactly(ONE, TWO, LAST);
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.COMPLETED);
        }
    }

    @Test
    void anEventIsThereBeforeTheNextOneIsWritten() throws Exception {
        LoopbackProvider.Builder slow = LoopbackProvider.builder().eventDelay(Duration.ofMillis(300));
        try (LoopbackProvider provider = slow.start(Mode.STREAM, List.of(STREAM));
                RawClient client = new RawClient(provider)) {
            long start = System.nanoTime();
            client.post("/");
            assertThat(client.text()).isEqualTo(ONE);
            long first = System.nanoTime();
            assertThat(client.text()).isEqualTo(TWO);
            long second = System.nanoTime();

            assertThat(Duration.ofNanos(first - start)).isGreaterThan(Duration.ofMillis(250));
            // From the start on, since a reader that is late to the first is not late to the second.
            assertThat(Duration.ofNanos(second - start)).isGreaterThan(Duration.ofMillis(550));
            assertThat(client.texts()).containsExactly(LAST);
        }
    }

    @Test
    void aCallIsOnePieceOfJsonWithItsLength() throws Exception {
        try (LoopbackProvider provider =
                        LoopbackProvider.start(Mode.CALL, List.of(Response.of("{\"a\":\"云\"}\n\n{}")));
                RawClient client = new RawClient(provider)) {
            String head = client.post("/");

            assertThat(head)
                    .contains("content-type: application/json\n")
                    .contains("content-length: 15\n")
                    .doesNotContain("transfer-encoding");
            assertThat(client.bytes(15)).isEqualTo("{\"a\":\"云\"}\n\n{}".getBytes(StandardCharsets.UTF_8));
        }
    }

    @Test
    void theScenariosOwnHeadersAndStatusAreSentButNotItsFraming() throws Exception {
        Map<String, String> headers = Map.of(
                "X-Request-Id", "r-1",
                "Content-Type", "text/event-stream",
                "Content-Length", "1",
                "Transfer-Encoding", "identity",
                "Content-Encoding", "br");
        Response response = new Response(201, headers, ONE, End.COMPLETE);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(response));
                RawClient client = new RawClient(provider)) {
            String head = client.post("/");

            assertThat(head)
                    .startsWith("HTTP/1.1 201 ")
                    .contains("x-request-id: r-1\n")
                    .contains("content-type: text/event-stream\n")
                    .contains("transfer-encoding: chunked\n")
                    .doesNotContain("content-length", "content-encoding", "charset");
            assertThat(client.texts()).containsExactly(ONE);
        }
    }

    @Test
    void anHttpErrorIsSentWholeInAStreamToo() throws Exception {
        Response error = Response.of(429, "{\"code\":\"Throttling\",\n\n\"message\":\"slow down\"}");
        LoopbackProvider.Builder bytes = LoopbackProvider.builder().chunking(Chunking.everyBytes(1));
        try (LoopbackProvider provider = bytes.start(Mode.STREAM, List.of(error));
                RawClient client = new RawClient(provider)) {
            String head = client.post("/");

            assertThat(head)
                    .startsWith("HTTP/1.1 429 ")
                    .contains("content-type: application/json\n")
                    .contains("content-length: " + error.body().length());
            assertThat(client.bytes(error.body().length())).asString().isEqualTo(error.body());
        }
    }

    @Test
    void responsesComeInOrderAndARequestBeyondTheLastGets500() throws Exception {
        List<Response> responses = List.of(Response.of("1"), Response.of(404, "2"));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses)) {
            assertThat(post(provider.baseUrl()).body()).isEqualTo("1");
            assertThat(post(provider.baseUrl()).statusCode()).isEqualTo(404);

            HttpResponse<String> beyond = post(provider.baseUrl());

            assertThat(beyond.statusCode()).isEqualTo(500);
            assertThat(beyond.body())
                    .isEqualTo("{\"code\":\"ScenarioExhausted\","
                            + "\"message\":\"the scenario has 2 responses, but this is request 3\"}");
            assertThat(provider.requestCount()).isEqualTo(3);
        }
    }

    @Test
    void aResetIsAResetAndComesAfterTheBody() throws Exception {
        Response reset = Response.of(ONE + TWO).endingWith(End.RESET);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(reset));
                RawClient client = new RawClient(provider)) {
            client.post("/");
            assertThat(client.text()).isEqualTo(ONE);
            assertThat(client.text()).isEqualTo(TWO);

            assertThatThrownBy(client::read).isInstanceOf(SocketException.class).hasMessageContaining("reset");
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.RESET);
        }
    }

    @Test
    void aResetOfALargeBodyLosesNothingBeforeIt() throws Exception {
        String event = "data: " + "x".repeat(1 << 20) + "\n\n";
        Response reset = Response.of(event.repeat(4)).endingWith(End.RESET);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(reset));
                RawClient client = new RawClient(provider)) {
            client.post("/");
            for (int i = 0; i < 4; i++) {
                assertThat(client.chunk()).hasSize(event.length());
            }
            assertThatThrownBy(client::read).isInstanceOf(SocketException.class);
        }
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, disabledReason = "another kernel does not tell what it holds of a connection")
    void aResetWaitsForAClientThatIsSlowToRead() throws Exception {
        String event = "data: " + "x".repeat(1 << 18) + "\n\n";
        Response reset = Response.of(event).endingWith(End.RESET);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(reset));
                RawClient client = RawClient.withRoomFor(4 * 1024, provider)) {
            client.post("/");
            CompletableFuture<ExchangeEnd> ended = provider.requests().get(0).ended();
            // Nothing shows that nothing comes: this is many times what a reset waits at least.
            assertThatThrownBy(() -> ended.get(500, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);

            assertThat(client.chunk()).hasSize(event.length());
            assertThatThrownBy(client::read).isInstanceOf(SocketException.class);
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.RESET);
        }
    }

    @Test
    void aCallThatIsResetIsNotACompleteResponse() throws Exception {
        Response reset = Response.of("{\"output\":").endingWith(End.RESET);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, List.of(reset))) {
            assertThatThrownBy(() -> post(provider.baseUrl())).isInstanceOf(IOException.class);
        }
    }

    @Test
    void aResetWithoutABodyStillSendsItsHead() throws Exception {
        Response reset = Response.of("").endingWith(End.RESET);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(reset));
                RawClient client = new RawClient(provider)) {
            assertThat(client.post("/")).startsWith("HTTP/1.1 200 OK\n");
            assertThatThrownBy(client::read).isInstanceOf(SocketException.class);
        }
    }

    @Test
    void aHangStaysOpenUntilTheClientLeaves() throws Exception {
        Response hang = Response.of(ONE + TWO).endingWith(End.HANG);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(hang))) {
            HttpResponse<InputStream> response = http.send(request(provider.baseUrl()), BodyHandlers.ofInputStream());
            assertThat(response.body().readNBytes((ONE + TWO).getBytes(StandardCharsets.UTF_8).length))
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo(ONE + TWO);
            CompletableFuture<ExchangeEnd> ended = provider.requests().get(0).ended();
            assertThat(ended).isNotDone();

            response.body().close();

            assertThat(ended.get(10, TimeUnit.SECONDS)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
        }
    }

    @Test
    void aHangBeforeTheFirstByteSendsItsHead() throws Exception {
        Response hang = Response.of("").endingWith(End.HANG);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(hang))) {
            try (RawClient client = new RawClient(provider)) {
                assertThat(client.post("/")).startsWith("HTTP/1.1 200 OK\n");
            }
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
        }
    }

    @Test
    void aClientThatLeavesInTheMiddleOfAStreamIsNoticed() throws Exception {
        LoopbackProvider.Builder slow = LoopbackProvider.builder().eventDelay(Duration.ofMillis(100));
        Response endless = Response.of(ONE.repeat(1_000));
        try (LoopbackProvider provider = slow.start(Mode.STREAM, List.of(endless))) {
            try (RawClient client = new RawClient(provider)) {
                client.post("/");
                client.chunk();
            }
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.CLIENT_LEFT);
        }
    }

    @Test
    void aBusyPortIsNamedInOneSentence() throws Exception {
        try (ServerSocket busy = new ServerSocket()) {
            busy.bind(new InetSocketAddress("127.0.0.1", 0));
            int port = busy.getLocalPort();

            LoopbackException e = catchThrowableOfType(
                    LoopbackException.class,
                    () -> LoopbackProvider.builder().port(port).start(Mode.CALL, List.of(STREAM)));

            assertThat(e).hasMessage("port must be free, but port " + port + " of 127.0.0.1 is in use already");
            assertThat(e.port()).isEqualTo(port);
            assertThatNoThreadIsLeft();
        }
    }

    @Test
    void aGivenPortIsUsed() throws Exception {
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        try (LoopbackProvider provider = LoopbackProvider.builder().port(free).start(Mode.CALL, List.of(STREAM))) {
            assertThat(provider.port()).isEqualTo(free);
            assertThat(provider.baseUrl()).isEqualTo("http://127.0.0.1:" + free);
            assertThat(provider).hasToString("loopback provider at http://127.0.0.1:" + free);
        }
    }

    @Test
    void whatCannotBeStartedIsRefused() {
        assertThatThrownBy(() -> LoopbackProvider.start(Mode.CALL, List.of()))
                .hasMessage("responses must have at least one response, but is empty");
        assertThatThrownBy(() -> LoopbackProvider.builder().port(65_536))
                .hasMessage("port must be 0 to 65535, but is 65536");
        assertThatThrownBy(() -> LoopbackProvider.builder().eventDelay(Duration.ofMillis(-1)))
                .hasMessage("eventDelay must not be negative, but is PT-0.001S");
    }

    @Test
    void closingKillsOpenConnectionsAndFreesPortAndThreads() throws Exception {
        Response hang = Response.of(ONE).endingWith(End.HANG);
        LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(hang, STREAM));
        try (RawClient hanging = new RawClient(provider);
                RawClient idle = new RawClient(provider)) {
            hanging.post("/");
            hanging.chunk();
            idle.post("/");
            idle.texts();

            provider.close();
            provider.close();

            assertThatThrownBy(hanging::read).isInstanceOf(SocketException.class);
            assertThatThrownBy(idle::read).isInstanceOf(SocketException.class);
            assertThat(ended(provider, 0)).isEqualTo(ExchangeEnd.PROVIDER_CLOSED);
            assertThat(ended(provider, 1)).isEqualTo(ExchangeEnd.COMPLETED);
            try (ServerSocket again = new ServerSocket()) {
                again.setReuseAddress(false);
                again.bind(new InetSocketAddress("127.0.0.1", provider.port()));
            }
            assertThatNoThreadIsLeft();
        }
    }

    @Test
    void aBodyIsCutAtEveryByteAndArrivesWhole() throws Exception {
        LoopbackProvider.Builder bytes = LoopbackProvider.builder().chunking(Chunking.everyBytes(1));
        byte[] body = STREAM.body().getBytes(StandardCharsets.UTF_8);
        try (LoopbackProvider provider = bytes.start(Mode.STREAM, List.of(STREAM));
                RawClient client = new RawClient(provider)) {
            client.post("/");
            for (byte expected : body) {
                assertThat(client.chunk()).containsExactly(expected);
            }
            assertThat(client.chunk()).isEmpty();
        }
    }

    @Test
    void aBodyIsCutWhereItIsAskedToBe() throws Exception {
        LoopbackProvider.Builder cut = LoopbackProvider.builder().chunking(Chunking.atOffsets(2));
        try (LoopbackProvider provider = cut.start(Mode.CALL, List.of(Response.of("{\"a\":1}")));
                RawClient client = new RawClient(provider)) {
            client.post("/");
            assertThat(client.texts()).containsExactly("{\"", "a\":1}");
        }
    }

    @Test
    void aClientThatAcceptsGzipGetsEachEventSoThatItCanDecodeItAtOnce() throws Exception {
        Response hang = Response.of(ONE + TWO).endingWith(End.HANG);
        LoopbackProvider.Builder gzip = LoopbackProvider.builder().gzip(true);
        try (LoopbackProvider provider = gzip.start(Mode.STREAM, List.of(hang));
                RawClient client = new RawClient(provider)) {
            assertThat(client.post("/", "Accept-Encoding: br, gzip;q=0.5")).contains("content-encoding: gzip\n");

            byte[] first = client.chunk();
            GZIPInputStream decoded = new GZIPInputStream(new ByteArrayInputStream(first));
            int length = ONE.getBytes(StandardCharsets.UTF_8).length;
            assertThat(decoded.readNBytes(length))
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo(ONE);
        }
    }

    @Test
    void aCompleteGzippedResponseIsAWholeGzipStream() throws Exception {
        LoopbackProvider.Builder gzip = LoopbackProvider.builder().gzip(true);
        for (Mode mode : Mode.values()) {
            try (LoopbackProvider provider = gzip.start(mode, List.of(STREAM, STREAM))) {
                HttpRequest request = HttpRequest.newBuilder(URI.create(provider.baseUrl()))
                        .header("Accept-Encoding", "gzip")
                        .build();
                HttpResponse<byte[]> response = http.send(request, BodyHandlers.ofByteArray());

                assertThat(new GZIPInputStream(new ByteArrayInputStream(response.body())).readAllBytes())
                        .asString(StandardCharsets.UTF_8)
                        .isEqualTo(STREAM.body());
            }
        }
    }

    @Test
    void anEmptyBodyIsNotCompressed() throws Exception {
        LoopbackProvider.Builder gzip = LoopbackProvider.builder().gzip(true);
        try (LoopbackProvider provider = gzip.start(Mode.CALL, List.of(Response.of("")));
                RawClient client = new RawClient(provider)) {
            assertThat(client.post("/", "Accept-Encoding: gzip"))
                    .contains("content-length: 0\n")
                    .doesNotContain("content-encoding");
        }
    }

    @Test
    void aClientThatDoesNotAcceptGzipGetsThePlainBody() throws Exception {
        LoopbackProvider.Builder gzip = LoopbackProvider.builder().gzip(true);
        try (LoopbackProvider provider = gzip.start(Mode.STREAM, List.of(STREAM, STREAM));
                RawClient client = new RawClient(provider)) {
            assertThat(client.post("/")).doesNotContain("content-encoding");
            assertThat(client.texts()).containsExactly(ONE, TWO, LAST);
            assertThat(client.post("/", "Accept-Encoding: gzip; q=0")).doesNotContain("content-encoding");
        }
    }

    @Test
    void aRequestIsKnownByItsNamesButNotByItsSecrets() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, List.of(Response.of("{}")))) {
            CompletableFuture<ReceivedRequest> first = provider.request(0);
            assertThat(first).isNotDone();
            HttpRequest request = HttpRequest.newBuilder(URI.create(provider.baseUrl() + "/v1/generate?key=sk-secret"))
                    .header("Authorization", "Bearer sk-secret")
                    .POST(HttpRequest.BodyPublishers.ofString("a prompt"))
                    .build();
            http.send(request, BodyHandlers.discarding());

            ReceivedRequest received = first.get(10, TimeUnit.SECONDS);
            assertThat(received.method()).isEqualTo("POST");
            assertThat(received.path()).isEqualTo("/v1/generate");
            assertThat(received.headerNames()).contains("authorization", "content-length");
            assertThat(received.conversation()).isNull();
            assertThat(received.index()).isZero();
            assertThat(received.path() + received.headerNames() + received).doesNotContain("secret", "prompt");
            ended(provider, 0);
            assertThat(received).hasToString("POST /v1/generate (COMPLETED)");
            assertThat(provider.requests()).containsExactly(received);
        }
    }

    @Test
    void twoHundredConversationsReplayTheSameResponsesIndependently() throws Exception {
        List<Response> responses = List.of(Response.of("1"), Response.of("2"), Response.of("3"));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, responses)) {
            List<CompletableFuture<String>> runs = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                String url = provider.baseUrl("c" + i);
                runs.add(body(url, "")
                        .thenCompose(read -> body(url, read))
                        .thenCompose(read -> body(url, read))
                        .thenCompose(read -> body(url, read)));
            }
            for (CompletableFuture<String> run : runs) {
                assertThat(run.get(30, TimeUnit.SECONDS)).startsWith("123{\"code\":\"ScenarioExhausted\"");
            }
            assertThat(provider.requestCount()).isEqualTo(800);
            assertThat(provider.requests("c42"))
                    .extracting(ReceivedRequest::index)
                    .containsExactly(0, 1, 2, 3);
            assertThat(post(provider.baseUrl()).body())
                    .as("without a conversation")
                    .isEqualTo("1");
            assertThat(post(provider.baseUrl("c42")).statusCode())
                    .as("asked for again")
                    .isEqualTo(500);
        }
    }

    @Test
    void aConversationIsTheFirstSegmentOfThePathAsAWhole() throws Exception {
        List<Response> responses = List.of(Response.of("1"), Response.of("2"));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses)) {
            String url = provider.baseUrl("c4");
            assertThat(post(provider.baseUrl() + "/c42/v1").body()).isEqualTo("1");
            assertThat(post(provider.baseUrl() + "/v1/c4").body()).isEqualTo("2");
            assertThat(post(url).body()).isEqualTo("1");
            assertThat(post(url + "/v1").body()).isEqualTo("2");
            for (String key : List.of("a/b", "..", "", "云")) {
                assertThatThrownBy(() -> provider.baseUrl(key))
                        .hasMessage(
                                "conversation must be a letter or digit, then letters, digits and _ ~ . -, but is \""
                                        + key + "\"");
            }
        }
    }

    @Test
    void aScenarioIsServedInItsOwnMode() throws Exception {
        for (String name : List.of("dashscope-plain-stream", "dashscope-call")) {
            try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load(name))) {
                HttpResponse<String> response = post(provider.baseUrl());
                assertThat(response.body())
                        .isEqualTo(Scenarios.load(name).responses().get(0).body());
                assertThat(response.headers().firstValue("content-type").orElseThrow())
                        .startsWith(name.endsWith("call") ? "application/json" : "text/event-stream");
            }
        }
    }

    private CompletableFuture<String> body(String url, String before) {
        return http.sendAsync(request(url), BodyHandlers.ofString()).thenApply(response -> before + response.body());
    }

    private HttpResponse<String> post(String url) throws Exception {
        return http.send(request(url), BodyHandlers.ofString());
    }

    private static HttpRequest request(String url) {
        return HttpRequest.newBuilder(URI.create(url))
                .timeout(Duration.ofSeconds(30))
                .POST(HttpRequest.BodyPublishers.ofString("{}"))
                .build();
    }

    private static ExchangeEnd ended(LoopbackProvider provider, int index) throws Exception {
        return provider.request(index).thenCompose(ReceivedRequest::ended).get(10, TimeUnit.SECONDS);
    }

    private static void assertThatNoThreadIsLeft() throws InterruptedException {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().startsWith("fluxtally-loopback")) {
                thread.join(5_000);
                assertThat(thread.isAlive()).as(thread.getName()).isFalse();
            }
        }
    }
}
