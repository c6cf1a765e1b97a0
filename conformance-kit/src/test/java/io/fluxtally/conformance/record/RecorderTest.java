package io.fluxtally.conformance.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.Chunking;
import io.fluxtally.conformance.loopback.ExchangeEnd;
import io.fluxtally.conformance.loopback.LoopbackException;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.loopback.LoopbackServer;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.ScenarioReader;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.UsageSource;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.server.HttpServerRequest;

@DisplayName("The recorder")
@Timeout(60)
class RecorderTest {

    private static final String CHAT = "/v1/chat/completions";

    private static final String STOP =
            "{\"id\":\"c-1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":"
                    + "{\"role\":\"assistant\",\"content\":\"secret answer\"},\"finish_reason\":\"stop\"}],"
                    + "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}";

    private static final String TOOLS = STOP.replace(
            "\"secret answer\"",
            "null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"secret_tool\",\"arguments\":\"{\\\"secret\\\":1}\"}}]");

    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final List<String> problems = new CopyOnWriteArrayList<>();

    @TempDir
    private Path folder;

    private Recorder recorder(String target) {
        return Recorder.builder(URI.create(target), folder)
                .onProblem(problems::add)
                .start();
    }

    private HttpResponse<byte[]> post(String url, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
                .POST(BodyPublishers.ofString("{\"prompt\":\"secret question\"}"));
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        return http.send(request.build(), BodyHandlers.ofByteArray());
    }

    private static Scenario onlyFile(Recorder recorder) {
        assertThat(recorder.files()).hasSize(1);
        return ScenarioReader.read(recorder.files().iterator().next().path());
    }

    // What passes

    @ParameterizedTest
    @CsvSource({
        "dashscope-tool-loop-stream,1,true",
        "openai-plain-stream,7,false",
        "openai-plain-stream,7,true",
        "openai-call,3,true"
    })
    @DisplayName("passes a body byte for byte, compressed or not and however it is cut, and records its text")
    void bytes(String name, int size, boolean gzip) throws Exception {
        Scenario scenario = Scenarios.load(name);
        LoopbackProvider.Builder provider =
                LoopbackProvider.builder().gzip(gzip).chunking(Chunking.everyBytes(size));
        try (LoopbackProvider upstream = provider.start(scenario);
                Recorder recorder = recorder(upstream.baseUrl("through"))) {
            String path =
                    scenario.family() == Family.OPENAI ? CHAT : "/api/v1/services/aigc/text-generation/generation";
            String[] headers = {"accept-encoding", "br, gzip;q=0.5", "authorization", "Bearer sk-secret"};

            HttpResponse<byte[]> direct = post(upstream.baseUrl("direct") + path, headers);
            HttpResponse<byte[]> through = post(recorder.baseUrl() + path, headers);
            recorder.close();

            assertThat(through.body()).isEqualTo(direct.body());
            assertThat(through.statusCode()).isEqualTo(direct.statusCode());
            assertThat(through.headers().map()).isEqualTo(direct.headers().map());
            assertThat(through.headers().firstValue("content-encoding").isPresent())
                    .isEqualTo(gzip);
            assertThat(onlyFile(recorder).responses().get(0).body().getBytes(StandardCharsets.UTF_8))
                    .hasSameSizeAs(scenario.responses()
                            .get(0)
                            .body()
                            .replace("get_weather", "tool_1")
                            .getBytes(StandardCharsets.UTF_8));
            assertThat(problems).isEmpty();
        }
    }

    /** What an upstream was asked. */
    private record Asked(String method, String uri, Map<String, String> headers, String body) {}

    @Test
    @DisplayName(
            "passes a request as it is, but for its host, for what concerns one connection, and for codings it cannot read")
    void request() throws Exception {
        CompletableFuture<Asked> asked = new CompletableFuture<>();
        try (LoopbackServer upstream = upstream(asked::complete);
                Recorder recorder = recorder(upstream.baseUrl() + "/base/");
                Socket socket = new Socket("127.0.0.1", recorder.port())) {
            String body = "{\"a\":\"云\"}";
            socket.getOutputStream()
                    .write(("PUT /v1/x%2Fy?key=a%20b&c HTTP/1.1\r\nHost: elsewhere:1\r\nAuthorization: Bearer sk-1\r\n"
                                    + "X-Two: 1\r\nX-Two: 2\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nConnection: close, X-Hop\r\n"
                                    + "Accept-Encoding: br, zstd, GZIP\r\nUser-Agent: app\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    + "4\r\n" + body.substring(0, 4) + "\r\n7\r\n" + body.substring(4)
                                    + "\r\n0\r\n\r\n")
                            .getBytes(StandardCharsets.UTF_8));

            Asked request = asked.get(30, TimeUnit.SECONDS);

            assertThat(request.method()).isEqualTo("PUT");
            assertThat(request.uri()).isEqualTo("/base/v1/x%2Fy?key=a%20b&c");
            assertThat(request.body()).isEqualTo(body);
            assertThat(request.headers())
                    .containsEntry("host", "127.0.0.1:" + upstream.port())
                    .containsEntry("authorization", "Bearer sk-1")
                    .containsEntry("x-two", "1, 2")
                    .containsEntry("accept-encoding", "gzip")
                    .containsEntry("user-agent", "app")
                    .doesNotContainKeys("keep-alive", "x-hop");
        }
    }

    private static LoopbackServer upstream(Consumer<Asked> asked) {
        return LoopbackServer.start(
                LoopbackServer.threads("upstream"),
                0,
                (request, response) -> request.receive()
                        .aggregate()
                        .asString()
                        .defaultIfEmpty("")
                        .flatMap(body -> {
                            asked.accept(new Asked(request.method().name(), request.uri(), headers(request), body));
                            return response.status(204).send().then();
                        }));
    }

    private static Map<String, String> headers(HttpServerRequest request) {
        Map<String, String> headers = new TreeMap<>();
        request.requestHeaders()
                .forEach(header -> headers.merge(
                        header.getKey().toLowerCase(Locale.ROOT), header.getValue(), (a, b) -> a + ", " + b));
        return headers;
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET", "DELETE", "PATCH"})
    @DisplayName("passes a body of no known length as one, whatever the method")
    void chunkedRequest(String method) throws Exception {
        CompletableFuture<Asked> asked = new CompletableFuture<>();
        try (LoopbackServer upstream = upstream(asked::complete);
                Recorder recorder = recorder(upstream.baseUrl());
                Socket socket = new Socket("127.0.0.1", recorder.port())) {
            socket.getOutputStream()
                    .write((method + " / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));

            assertThat(asked.get(30, TimeUnit.SECONDS).body()).isEqualTo("ab");
        }
    }

    @Test
    @DisplayName("passes the answer that follows upon interim ones, and records it")
    void interimAnswers() throws Exception {
        String interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
        String answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + STOP.length()
                + "\r\n\r\n" + STOP;
        try (ServerSocket upstream = answering(interim + interim + answer);
                Recorder recorder = recorder("http://127.0.0.1:" + upstream.getLocalPort())) {
            HttpResponse<byte[]> response = post(recorder.baseUrl() + CHAT);
            recorder.close();

            assertThat(response.statusCode()).isEqualTo(200);
            assertThat(response.body()).asString().isEqualTo(STOP);
            assertThat(onlyFile(recorder).responses()).hasSize(1);
            assertThat(problems).isEmpty();
        }
    }

    /** Takes one connection, reads something, and answers this, whatever it was. */
    private static ServerSocket answering(String answer) throws IOException {
        ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        CompletableFuture.runAsync(() -> {
            try (Socket socket = server.accept()) {
                socket.getInputStream().read();
                socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
                socket.shutdownOutput();
                socket.getInputStream().readAllBytes();
            } catch (IOException closed) {
                // Whoever waits for the answer fails.
            }
        });
        return server;
    }

    @Test
    @DisplayName("passes a request without a body without one, and an answer without a body too, and records neither")
    void withoutBody() throws Exception {
        CompletableFuture<Asked> asked = new CompletableFuture<>();
        try (LoopbackServer upstream = upstream(asked::complete);
                Recorder recorder = recorder(upstream.baseUrl())) {
            HttpResponse<String> response = http.send(
                    HttpRequest.newBuilder(URI.create(recorder.baseUrl() + "/v1/models"))
                            .build(),
                    BodyHandlers.ofString());
            recorder.close();

            assertThat(response.statusCode()).isEqualTo(204);
            assertThat(asked.join().method()).isEqualTo("GET");
            assertThat(asked.join().headers()).doesNotContainKey("transfer-encoding");
            assertThat(recorder.files()).isEmpty();
            assertThat(folder).isEmptyDirectory();
            assertThat(problems).isEmpty();
        }
    }

    @Test
    @DisplayName("passes an event before the next one comes, and tells the provider at once that the app left")
    void clientLeaves() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-hang-cancel-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Recorder recorder = recorder(provider.baseUrl())) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(recorder.baseUrl() + "/x"))
                    .header("X-DashScope-SSE", "enable")
                    .POST(BodyPublishers.ofString("{}"))
                    .build();
            byte[] body = scenario.responses().get(0).body().getBytes(StandardCharsets.UTF_8);
            try (InputStream in =
                    http.send(request, BodyHandlers.ofInputStream()).body()) {
                assertThat(in.readNBytes(body.length)).isEqualTo(body);
                assertThat(provider.request(0).get().ended()).isNotDone();
            }

            assertThat(provider.request(0).get().ended().get(30, TimeUnit.SECONDS))
                    .isEqualTo(ExchangeEnd.CLIENT_LEFT);
            recorder.close();
            Scenario recorded = onlyFile(recorder);
            assertThat(recorded.responses().get(0).end()).isEqualTo(End.HANG);
            assertThat(recorded.billed().complete()).isFalse();
            assertThat(recorded.billed().total())
                    .isEqualTo(new Figures(Map.of(
                            TokenKey.INPUT_TOKENS, OptionalLong.of(40),
                            TokenKey.OUTPUT_TOKENS, OptionalLong.of(6),
                            TokenKey.TOTAL_TOKENS, OptionalLong.of(46))));
        }
    }

    @Test
    @DisplayName("asks no more of the provider than the app takes")
    void backPressure() throws Exception {
        int pieces = 2048;
        byte[] piece = new byte[64 * 1024];
        AtomicLong asked = new AtomicLong();
        CompletableFuture<Void> left = new CompletableFuture<>();
        LoopbackServer endless = LoopbackServer.start(LoopbackServer.threads("upstream"), 0, (request, response) -> {
            boolean slow = request.uri().equals("/slow");
            Flux<ByteBuf> body = Flux.range(0, pieces)
                    .doOnNext(i -> asked.addAndGet(slow ? 1 : 0))
                    .doOnCancel(() -> left.complete(null))
                    .map(i -> Unpooled.wrappedBuffer(piece));
            return request.receive().then(Mono.defer(() -> Mono.from(response.send(body, sent -> true))));
        });
        try (endless;
                Recorder recorder = recorder(endless.baseUrl())) {
            HttpRequest.Builder request = HttpRequest.newBuilder().POST(BodyPublishers.ofString("{}"));
            InputStream slow = http.send(
                            request.uri(URI.create(recorder.baseUrl() + "/slow"))
                                    .build(),
                            BodyHandlers.ofInputStream())
                    .body();
            slow.readNBytes(piece.length);
            // What passes to another one meanwhile is time enough for all of it.
            http.send(request.uri(URI.create(recorder.baseUrl() + "/fast")).build(), BodyHandlers.discarding());

            assertThat(asked).hasValueLessThan(pieces);
            slow.close();
            left.get(30, TimeUnit.SECONDS);
        }
    }

    @Test
    @DisplayName("resets the app's connection where the provider's was reset, after what came before")
    void reset() throws Exception {
        Scenario scenario = Scenarios.load("openai-reset-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Recorder recorder = recorder(provider.baseUrl())) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(recorder.baseUrl() + CHAT))
                    .POST(BodyPublishers.ofString("{}"))
                    .build();
            byte[] body = scenario.responses().get(0).body().getBytes(StandardCharsets.UTF_8);
            try (InputStream in =
                    http.send(request, BodyHandlers.ofInputStream()).body()) {
                assertThat(in.readNBytes(body.length)).isEqualTo(body);
                assertThatThrownBy(in::read).isInstanceOf(IOException.class);
            }
            recorder.close();

            assertThat(onlyFile(recorder).responses().get(0).end()).isEqualTo(End.RESET);
        }
    }

    @Test
    @DisplayName("resets the app's connection where the provider's was reset before it answered")
    void resetBeforeTheHead() throws Exception {
        try (LoopbackServer upstream =
                        LoopbackServer.start(LoopbackServer.threads("upstream"), 0, (request, response) -> {
                            request.withConnection(connection -> LoopbackServer.reset(connection.channel(), () -> {}));
                            return Mono.never();
                        });
                Recorder recorder = recorder(upstream.baseUrl())) {
            assertThatThrownBy(() -> post(recorder.baseUrl() + CHAT)).isInstanceOf(IOException.class);
            recorder.close();

            Scenario recorded = onlyFile(recorder);
            assertThat(recorded.responses()).containsExactly(Response.of("").endingWith(End.RESET));
            assertThat(recorded.billed().complete()).isFalse();
        }
    }

    @Test
    @DisplayName("answers 502 and says why where there is no connection to the provider, and records nothing")
    void targetDown() throws Exception {
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        try (Recorder recorder = recorder("http://127.0.0.1:" + free)) {
            HttpResponse<byte[]> response = post(recorder.baseUrl() + CHAT + "?key=sk-secret");
            post(recorder.baseUrl() + CHAT);
            recorder.close();

            assertThat(response.statusCode()).isEqualTo(502);
            assertThat(new String(response.body(), StandardCharsets.UTF_8))
                    .startsWith("fluxtally record: no connection to http://127.0.0.1:" + free + ": ");
            assertThat(problems)
                    .singleElement()
                    .asString()
                    .startsWith("no connection to http://127.0.0.1:" + free)
                    .doesNotContain("sk-secret");
            assertThat(recorder.files()).isEmpty();
        }
    }

    @Test
    @DisplayName("says that a provider does not speak TLS, and nothing of what it sent")
    void noTls() throws Exception {
        try (ServerSocket upstream = answering("HTTP/1.1 400 secret\r\n\r\n");
                Recorder recorder = recorder("https://127.0.0.1:" + upstream.getLocalPort())) {
            HttpResponse<byte[]> response = post(recorder.baseUrl() + CHAT);
            recorder.close();

            assertThat(response.statusCode()).isEqualTo(502);
            assertThat(problems)
                    .containsExactly("no connection to https://127.0.0.1:" + upstream.getLocalPort()
                            + ": what it answers is not TLS");
            assertThat(response.body()).asString().contains(problems.get(0));
        }
    }

    @Test
    @DisplayName("says which port is in use")
    void portInUse() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Recorder.Builder builder =
                    Recorder.builder(URI.create("http://127.0.0.1:9"), folder).port(taken.getLocalPort());

            assertThatThrownBy(builder::start)
                    .isInstanceOf(LoopbackException.class)
                    .hasMessage(
                            "port must be free, but port " + taken.getLocalPort() + " of 127.0.0.1 is in use already");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET http://example.com/ HTTP/1.1", "POST /run/-x/v1 HTTP/1.1", "POST /run/../v1 HTTP/1.1"})
    @DisplayName("answers 400 to what it is not there for")
    void refused(String requestLine) throws Exception {
        try (Recorder recorder = recorder("http://127.0.0.1:9");
                Socket socket = new Socket("127.0.0.1", recorder.port())) {
            socket.getOutputStream()
                    .write((requestLine + "\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));

            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
                    .startsWith("HTTP/1.1 400 ")
                    .contains("fluxtally record: the ");
        }
    }

    // What is written

    @Test
    @DisplayName("writes nothing of prompts, keys, answers, tools and what they are given, nor tells it")
    void canary() throws Exception {
        String error = "{\"error\":{\"message\":\"secret: no key sk-secret\",\"code\":\"invalid_api_key\"}}";
        List<Response> responses = List.of(
                Response.of(TOOLS),
                Response.of(STOP),
                new Response(
                        401,
                        Map.of("x-request-id", "secret id", "x-secret", "secret", "set-cookie", "secret"),
                        error,
                        End.COMPLETE),
                Response.of("secret {"));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses);
                Recorder recorder = recorder(provider.baseUrl())) {
            for (int i = 0; i < responses.size() + 1; i++) {
                post(
                        recorder.baseUrl() + CHAT + "?key=sk-secret",
                        "authorization",
                        "Bearer sk-secret",
                        "api-key",
                        "sk-secret",
                        "x-secret",
                        "secret");
            }
            recorder.close();

            assertThat(recorder.files()).hasSizeGreaterThan(2);
            for (RecordedFile file : recorder.files()) {
                assertThat(Files.readString(file.path()))
                        .doesNotContain("secret")
                        .doesNotContain("sk-");
            }
            assertThat(problems.toString()).doesNotContain("secret");
            assertThat(ScenarioReader.read(folder.resolve("recorded-2.yaml"))
                            .responses()
                            .get(0)
                            .status())
                    .isEqualTo(401);
        }
    }

    @Test
    @DisplayName("puts the rounds of a tool loop into one file and the next question into the next")
    void runs() throws Exception {
        List<Response> responses =
                List.of(Response.of(TOOLS), Response.of(TOOLS), Response.of(STOP), Response.of(STOP));
        Files.writeString(folder.resolve("recorded-2.yaml"), "somebody's");
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses);
                Recorder recorder = recorder(provider.baseUrl())) {
            for (int i = 0; i < responses.size(); i++) {
                post(recorder.baseUrl() + CHAT);
            }
            recorder.close();

            assertThat(recorder.files())
                    .extracting(file -> file.path().getFileName().toString() + " "
                            + file.usage().requests())
                    .containsExactly("recorded.yaml 3", "recorded-3.yaml 1");
            Scenario loop = ScenarioReader.read(folder.resolve("recorded.yaml"));
            assertThat(loop.name()).isEqualTo("recorded");
            assertThat(loop.tools()).containsExactly("tool_1");
            assertThat(loop.billed().requests()).hasSize(3);
            assertThat(folder.resolve("recorded-2.yaml")).hasContent("somebody's");
        }
    }

    @Test
    @DisplayName("takes requests that run side by side for the rounds of different runs")
    void sideBySide() throws Exception {
        CompletableFuture<Void> both = new CompletableFuture<>();
        AtomicLong requests = new AtomicLong();
        LoopbackServer upstream = LoopbackServer.start(LoopbackServer.threads("upstream"), 0, (request, response) -> {
            long number = requests.incrementAndGet();
            if (number == 2) {
                both.complete(null);
            }
            response.header("content-type", "application/json");
            String body = number <= 2 ? TOOLS : STOP;
            return request.receive()
                    .then(Mono.fromFuture(both))
                    .then(Mono.defer(() -> Mono.from(response.sendString(Mono.just(body)))));
        });
        try (upstream;
                Recorder recorder = recorder(upstream.baseUrl())) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(recorder.baseUrl() + CHAT))
                    .POST(BodyPublishers.ofString("{}"))
                    .build();
            CompletableFuture<?> one = http.sendAsync(request, BodyHandlers.discarding());
            CompletableFuture<?> other = http.sendAsync(request, BodyHandlers.discarding());
            CompletableFuture.allOf(one, other).get(30, TimeUnit.SECONDS);
            post(recorder.baseUrl() + CHAT);
            post(recorder.baseUrl() + CHAT);
            recorder.close();

            assertThat(recorder.files())
                    .extracting(file -> file.usage().requests())
                    .containsExactly(2L, 2L);
        }
    }

    @Test
    @DisplayName("writes what is under way when it is closed, as if the app had left")
    void closedUnderWay() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-hang-cancel-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Recorder recorder = recorder(provider.baseUrl())) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(recorder.baseUrl() + "/x"))
                    .header("X-DashScope-SSE", "enable")
                    .POST(BodyPublishers.ofString("{}"))
                    .build();
            InputStream in = http.send(request, BodyHandlers.ofInputStream()).body();
            in.readNBytes(scenario.responses().get(0).body().getBytes(StandardCharsets.UTF_8).length);
            recorder.close();

            assertThatThrownBy(in::read).isInstanceOf(IOException.class);
            assertThat(onlyFile(recorder).billed().requests())
                    .singleElement()
                    .satisfies(billed -> assertThat(billed.source()).isEqualTo(UsageSource.PARTIAL));
            assertThat(provider.request(0).get().ended().get(30, TimeUnit.SECONDS))
                    .isEqualTo(ExchangeEnd.CLIENT_LEFT);
        }
    }

    @Test
    @DisplayName("keeps runs under different names apart, and passes their path without the name")
    void names() throws Exception {
        List<Response> responses =
                List.of(Response.of(TOOLS), Response.of(TOOLS), Response.of(STOP), Response.of(STOP));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses);
                Recorder recorder = recorder(provider.baseUrl())) {
            for (String name : List.of("a", "b", "a", "b")) {
                post(recorder.baseUrl(name) + CHAT);
            }
            recorder.close();

            assertThat(recorder.files())
                    .extracting(file -> file.path().getFileName().toString() + " "
                            + file.usage().requests())
                    .containsExactly("a.yaml 2", "b.yaml 2");
            assertThat(provider.requests())
                    .allSatisfy(request -> assertThat(request.path()).isEqualTo(CHAT));
        }
    }

    @Test
    @DisplayName("writes each answer as soon as it ended, for its owner alone")
    void writesAtOnce() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, List.of(Response.of(TOOLS)));
                Recorder recorder = recorder(provider.baseUrl())) {
            post(recorder.baseUrl() + CHAT);
            while (recorder.files().isEmpty()) {
                Thread.onSpinWait();
            }

            Path file = folder.resolve("recorded.yaml");
            assertThat(ScenarioReader.read(file).responses()).hasSize(1);
            if (Files.getFileStore(folder).supportsFileAttributeView("posix")) {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                        .isEqualTo("rw-------");
            }
            try (var files = Files.list(folder)) {
                assertThat(files).containsExactly(file);
            }
        }
    }

    @Test
    @DisplayName("passes everything and says so once where it cannot write")
    void unwritable() throws Exception {
        Path file = Files.writeString(folder.resolve("file"), "");
        try (LoopbackProvider provider =
                        LoopbackProvider.start(Mode.CALL, List.of(Response.of(STOP), Response.of(STOP)));
                Recorder recorder = Recorder.builder(URI.create(provider.baseUrl()), file)
                        .onProblem(problems::add)
                        .start()) {
            for (int i = 0; i < 2; i++) {
                assertThat(post(recorder.baseUrl() + CHAT).body()).isEqualTo(STOP.getBytes(StandardCharsets.UTF_8));
            }
            recorder.close();

            assertThat(problems).singleElement().asString().startsWith("cannot write to " + file);
            assertThat(recorder.files()).isEmpty();
        }
    }

    @Test
    @DisplayName("says once of what it passes that it is in no file")
    void inNoFile() throws Exception {
        List<String> bodies = new ArrayList<>(List.of("{\"data\":[{\"embedding\":[1]}]}", "secret", "{}"));
        try (LoopbackProvider provider = LoopbackProvider.start(
                        Mode.CALL, bodies.stream().map(Response::of).toList());
                Recorder recorder = recorder(provider.baseUrl())) {
            for (String body : bodies) {
                assertThat(post(recorder.baseUrl() + "/v1/embeddings").body())
                        .isEqualTo(body.getBytes(StandardCharsets.UTF_8));
            }
            recorder.close();

            assertThat(problems)
                    .containsExactly(
                            "a response is in no file, since it is none of a model in a protocol that is known here");
            assertThat(recorder.files()).isEmpty();
        }
    }
}
