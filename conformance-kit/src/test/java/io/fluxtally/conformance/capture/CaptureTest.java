package io.fluxtally.conformance.capture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.loopback.Chunking;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.loopback.LoopbackServer;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.json.RequestUsageJson;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;

@DisplayName("A capture")
@Timeout(60)
class CaptureTest {

    private static final String CHAT = "/v1/chat/completions";

    private static final String QUESTION =
            "{\"messages\":[{\"role\":\"user\",\"content\":\"secret question\"}],\"model\":\"asked-model\",\"stream\":true}";

    private static final String ANSWER =
            "{\"id\":\"c-1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":"
                    + "{\"role\":\"assistant\",\"content\":\"secret answer\"},\"finish_reason\":\"stop\"}],"
                    + "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}";

    /** One of each kind of body, and one that breaks off, to be compressed and cut as well. */
    private static final List<String> CUT = List.of(
            "dashscope-plain-stream", "openai-plain-stream", "openai-call", "ollama-stream", "anthropic-reset-stream");

    /** A request as its provider answered it. */
    private record Answer(int status, Map<String, List<String>> headers, String body, boolean whole) {}

    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final List<String> problems = new CopyOnWriteArrayList<>();

    private final List<RequestUsage> booked = new CopyOnWriteArrayList<>();

    private Capture.Builder capturing(String target) {
        return capturing(target, booked::add);
    }

    private Capture.Builder capturing(String target, UsageSink sink) {
        return Capture.builder(URI.create(target), sink).onProblem(problems::add);
    }

    private Answer post(String url, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).POST(BodyPublishers.ofString(QUESTION));
        for (int i = 0; i < headers.length; i += 2) {
            request.header(headers[i], headers[i + 1]);
        }
        HttpResponse<InputStream> response = http.send(request.build(), BodyHandlers.ofInputStream());
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        boolean whole = true;
        try (InputStream in = response.body()) {
            for (int next = in.read(); next >= 0; next = in.read()) {
                body.write(next);
            }
        } catch (IOException broken) {
            whole = false;
        }
        return new Answer(
                response.statusCode(), response.headers().map(), body.toString(StandardCharsets.ISO_8859_1), whole);
    }

    // What passes, and what it is billed

    static Stream<Arguments> scenarios() {
        return Scenarios.all().stream()
                // A proxy cannot be told when the app has had enough; a test of its own is about that.
                .filter(scenario -> scenario.responses().stream().noneMatch(response -> response.end() == End.HANG))
                .filter(scenario -> scenario.cancelAfter() == null)
                .flatMap(scenario -> CUT.contains(scenario.name())
                        ? Stream.of(
                                Arguments.of(scenario.name(), false, 0),
                                Arguments.of(scenario.name(), true, 0),
                                Arguments.of(scenario.name(), true, 7))
                        : Stream.of(Arguments.of(scenario.name(), false, 0)));
    }

    private static String path(Family family) {
        return switch (family) {
            case DASHSCOPE -> "/api/v1/services/aigc/text-generation/generation";
            case OPENAI -> CHAT;
            case ANTHROPIC -> "/v1/messages";
            case OLLAMA -> "/api/chat";
            case GEMINI -> "/v1beta/models/g:generateContent";
        };
    }

    @ParameterizedTest(name = "{0}, gzip {1}, cut {2}")
    @MethodSource("scenarios")
    @DisplayName("passes every scenario as it is without it, and books what it is billed")
    void everyScenario(String name, boolean gzip, int cut) throws Exception {
        Scenario scenario = Scenarios.load(name);
        LoopbackProvider.Builder builder = LoopbackProvider.builder().gzip(gzip);
        if (cut > 0) {
            builder.chunking(Chunking.everyBytes(cut));
        }
        String path = path(scenario.family());
        try (LoopbackProvider provider = builder.start(scenario);
                Capture capture = capturing(provider.baseUrl("through")).start()) {
            for (int i = 0; i < scenario.responses().size(); i++) {
                Answer direct = post(provider.baseUrl("direct") + path, "accept-encoding", "gzip");
                Answer through = post(capture.baseUrl() + path, "accept-encoding", "gzip");

                assertThat(through).isEqualTo(direct);
            }
            capture.close();

            assertThat(BillCheck.differences(scenario.billed(), RunUsage.of(booked, 0)))
                    .isEmpty();
            assertThat(problems).isEmpty();
            assertThat(capture.unread()).isZero();
            assertThat(capture.unbooked()).isZero();
        }
    }

    @Test
    @DisplayName("books to the run that the base URL names, passes the path without it, and keeps no run's requests")
    void runs() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(
                        Mode.CALL, List.of(Response.of(ANSWER), Response.of(ANSWER), Response.of(ANSWER)));
                Capture capture =
                        capturing(provider.baseUrl() + "/base/").run("unnamed").start()) {
            post(capture.baseUrl("first") + CHAT);
            post(capture.baseUrl("first") + CHAT + "?key=sk-secret");
            post(capture.baseUrl() + CHAT);
            capture.close();

            assertThat(booked).extracting(RequestUsage::runId).containsExactly("first", "first", "unnamed");
            assertThat(booked).extracting(RequestUsage::requestId).doesNotHaveDuplicates();
            assertThat(capture.runs().keySet()).containsExactly("first", "unnamed");
            assertThat(capture.runs().get("first").total()).isEqualTo(TokenUsage.of(10, 4));
            assertThat(provider.requests())
                    .allSatisfy(request -> assertThat(request.path()).isEqualTo("/base" + CHAT));
        }
    }

    @Test
    @DisplayName("knows the model of a protocol whose answers do not name it by the request")
    void requestModel() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-plain-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Capture capture = capturing(provider.baseUrl()).start()) {
            post(capture.baseUrl() + path(Family.DASHSCOPE), "X-DashScope-SSE", "enable");
            capture.close();

            assertThat(booked).singleElement().satisfies(request -> {
                assertThat(request.requestModel()).isEqualTo("asked-model");
                assertThat(request.model()).isEqualTo("asked-model");
                assertThat(request.provider()).isEqualTo("dashscope");
                assertThat(request.responseId()).isNotNull();
            });
        }
    }

    @Test
    @DisplayName("T7: books what is known of an answer that the client left, and tells the provider at once")
    void clientLeaves() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-hang-cancel-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Capture capture = capturing(provider.baseUrl()).start()) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(capture.baseUrl() + "/x"))
                    .header("X-DashScope-SSE", "enable")
                    .POST(BodyPublishers.ofString(QUESTION))
                    .build();
            byte[] body = scenario.responses().get(0).body().getBytes(StandardCharsets.UTF_8);
            try (InputStream in =
                    http.send(request, BodyHandlers.ofInputStream()).body()) {
                assertThat(in.readNBytes(body.length)).isEqualTo(body);
            }
            provider.request(0).get().ended().get(30, TimeUnit.SECONDS);
            capture.close();

            assertThat(booked).singleElement().satisfies(left -> {
                assertThat(left.source()).isEqualTo(UsageSource.PARTIAL);
                assertThat(left.outcome()).isEqualTo(RequestOutcome.CANCELLED);
                assertThat(left.usage()).isEqualTo(TokenUsage.of(40, 6));
            });
        }
    }

    @Test
    @DisplayName("books nothing of a request that reached nobody, nor of one that is not to a model")
    void notBilled() throws Exception {
        int free;
        try (ServerSocket socket = new ServerSocket(0)) {
            free = socket.getLocalPort();
        }
        try (Capture capture = capturing("http://127.0.0.1:" + free).start()) {
            assertThat(post(capture.baseUrl() + CHAT).status()).isEqualTo(502);
            capture.close();
        }
        try (LoopbackProvider provider = LoopbackProvider.start(
                        Mode.CALL, List.of(Response.of("{\"usage\":{\"prompt_tokens\":5},\"choices\":[]}")));
                Capture capture = capturing(provider.baseUrl()).start()) {
            assertThat(post(capture.baseUrl() + "/metrics").status()).isEqualTo(200);
            capture.close();
        }

        assertThat(booked).isEmpty();
        assertThat(problems).singleElement().asString().startsWith("no connection to http://127.0.0.1:" + free);
    }

    // Codings

    private static LoopbackServer answering(String coding, byte[] body) {
        return LoopbackServer.start(
                LoopbackServer.threads("upstream"),
                0,
                (request, response) -> request.receive()
                        .then(Mono.defer(() -> Mono.from(response.header("content-type", "application/json")
                                .header("content-encoding", coding)
                                .sendByteArray(Mono.just(body))))));
    }

    private static byte[] deflated(boolean bare) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DeflaterOutputStream out =
                new DeflaterOutputStream(bytes, new Deflater(Deflater.DEFAULT_COMPRESSION, bare))) {
            out.write(ANSWER.getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("reads a copy of an answer in deflate, with its frame or without, and passes it as it is")
    void deflate(boolean bare) throws Exception {
        byte[] body = deflated(bare);
        try (LoopbackServer upstream = answering("deflate", body);
                Capture capture = capturing(upstream.baseUrl()).start()) {
            Answer answer = post(capture.baseUrl() + CHAT);
            capture.close();

            assertThat(answer.body().getBytes(StandardCharsets.ISO_8859_1)).isEqualTo(body);
            assertThat(answer.headers()).containsEntry("content-encoding", List.of("deflate"));
            assertThat(booked).extracting(RequestUsage::usage).containsExactly(TokenUsage.of(5, 2));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "br, 'answers pass unread, since they are in a content coding other than gzip and deflate'",
        "'gzip, gzip', 'answers pass unread, since they are in a content coding other than gzip and deflate'",
        "gzip, 'answers pass unread, since they are not in the content coding that they name'"
    })
    @DisplayName("says that an answer passed unread, and books it as one without a figure")
    void unreadCoding(String coding, String problem) throws Exception {
        try (LoopbackServer upstream = answering(coding, ANSWER.getBytes(StandardCharsets.UTF_8));
                Capture capture = capturing(upstream.baseUrl()).start()) {
            assertThat(post(capture.baseUrl() + CHAT).body()).isEqualTo(ANSWER);
            assertThat(post(capture.baseUrl() + CHAT).body()).isEqualTo(ANSWER);
            capture.close();

            assertThat(booked).hasSize(2).allSatisfy(request -> {
                assertThat(request.source()).isEqualTo(UsageSource.MISSING);
                assertThat(request.outcome()).isEqualTo(RequestOutcome.COMPLETED);
            });
            assertThat(capture.unread()).isEqualTo(2);
            assertThat(problems).containsExactly(problem);
        }
    }

    // What fails

    /** A dialect that takes everything for its own, and throws from then on. */
    private static final class Broken implements Dialect {

        @Override
        public String provider() {
            return "broken";
        }

        @Override
        public boolean expects(RequestHead request) {
            return true;
        }

        @Override
        public FieldPaths paths() {
            throw new NoClassDefFoundError("secret");
        }

        @Override
        public ResponseReading newReading() {
            throw new StackOverflowError("secret");
        }
    }

    static Stream<Arguments> failing() {
        CountDownLatch never = new CountDownLatch(1);
        UsageSink works = request -> {};
        UsageSink throwing = request -> {
            throw new AssertionError("secret");
        };
        UsageSink outOfMemory = request -> {
            throw new OutOfMemoryError("secret");
        };
        UsageSink stuck = request -> {
            try {
                never.await();
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        };
        UsageSink killing = request -> Thread.currentThread().interrupt();
        return Stream.of(
                Arguments.of("a sink that throws", throwing, WireTap.builder(), Capture.BACKLOG),
                Arguments.of("a sink out of memory", outOfMemory, WireTap.builder(), Capture.BACKLOG),
                Arguments.of("a sink that never comes back", stuck, WireTap.builder(), Capture.BACKLOG),
                Arguments.of("a sink that interrupts its thread", killing, WireTap.builder(), Capture.BACKLOG),
                Arguments.of("a dialect that throws", works, WireTap.builder().dialect(new Broken()), Capture.BACKLOG),
                Arguments.of("no room for anything", works, WireTap.builder(), 0L));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("failing")
    @DisplayName("T22: passes all as it is whatever fails in it")
    void failsOpen(String what, UsageSink sink, WireTap.Builder tap, long backlog) throws Exception {
        Scenario scenario = Scenarios.load("openai-tool-loop-stream");
        List<Response> responses = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            responses.addAll(scenario.responses());
        }
        try (LoopbackProvider provider = LoopbackProvider.start(scenario.mode(), responses);
                Capture capture = Capture.builder(URI.create(provider.baseUrl("through")), sink)
                        .tap(tap)
                        .backlog(backlog)
                        .patience(0)
                        .onProblem(problem -> {
                            problems.add(problem);
                            throw new IllegalStateException("secret");
                        })
                        .start()) {
            for (int i = 0; i < responses.size(); i++) {
                Answer direct = post(provider.baseUrl("direct") + CHAT);

                assertThat(post(capture.baseUrl() + CHAT)).isEqualTo(direct);
            }
            assertThat(problems.toString()).doesNotContain("secret");
        }
    }

    @Test
    @DisplayName("goes on booking after a sink has failed, and counts what it could not book")
    void goesOn() throws Exception {
        UsageSink everyOther = request -> {
            booked.add(request);
            if (booked.size() % 2 == 1) {
                throw new IllegalStateException("secret");
            }
        };
        try (LoopbackProvider provider = LoopbackProvider.start(
                        Mode.CALL, List.of(Response.of(ANSWER), Response.of(ANSWER), Response.of(ANSWER)));
                Capture capture = capturing(provider.baseUrl(), everyOther).start()) {
            for (int i = 0; i < 3; i++) {
                post(capture.baseUrl() + CHAT);
            }
            capture.close();

            assertThat(booked).hasSize(3);
            assertThat(capture.unbooked()).isEqualTo(2);
            assertThat(problems)
                    .containsExactly(
                            "a request is not booked, since the sink failed with java.lang.IllegalStateException");
        }
    }

    @Test
    @DisplayName("stops copying where too much waits for a slow sink, and says of each request what it does not know")
    void behind() throws Exception {
        CountDownLatch inSink = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        UsageSink slow = request -> {
            booked.add(request);
            inSink.countDown();
            try {
                goOn.await();
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        };
        String large = ANSWER.replace("secret answer", "secret".repeat(5_000));
        try (LoopbackProvider provider = LoopbackProvider.start(
                        Mode.CALL, List.of(Response.of(ANSWER), Response.of(large), Response.of(ANSWER)));
                Capture capture = capturing(provider.baseUrl(), slow)
                        .backlog(4096 + 2_000)
                        .start()) {
            assertThat(post(capture.baseUrl() + CHAT).body()).isEqualTo(ANSWER);
            inSink.await();
            assertThat(post(capture.baseUrl() + CHAT).body()).isEqualTo(large);
            assertThat(post(capture.baseUrl() + CHAT).body()).isEqualTo(ANSWER);
            goOn.countDown();
            capture.close();

            assertThat(booked)
                    .extracting(RequestUsage::source)
                    .containsExactly(UsageSource.REPORTED, UsageSource.MISSING);
            assertThat(capture.unread()).isEqualTo(1);
            assertThat(capture.unbooked()).isEqualTo(1);
            assertThat(problems)
                    .containsExactlyInAnyOrder(
                            "answers pass unread, since too much is waiting to be read",
                            "requests pass that are not booked, since too much is waiting to be read");
        }
    }

    @Test
    @DisplayName("books what is under way when it is closed as if the client had left")
    void closedUnderWay() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-hang-cancel-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                Capture capture = capturing(provider.baseUrl()).start()) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(capture.baseUrl() + "/x"))
                    .header("X-DashScope-SSE", "enable")
                    .POST(BodyPublishers.ofString(QUESTION))
                    .build();
            InputStream in = http.send(request, BodyHandlers.ofInputStream()).body();
            in.readNBytes(scenario.responses().get(0).body().getBytes(StandardCharsets.UTF_8).length);
            capture.close();

            assertThatThrownBy(in::read).isInstanceOf(IOException.class);
            assertThat(booked).extracting(RequestUsage::source).containsExactly(UsageSource.PARTIAL);
        }
    }

    // What stays

    @Test
    @DisplayName("T21: books nothing of prompts, keys, headers and answers, nor tells it")
    void canary() throws Exception {
        List<Response> responses = List.of(
                Response.of(ANSWER),
                Response.of("secret {"),
                new Response(
                        401,
                        Map.of("x-request-id", "secret", "set-cookie", "secret"),
                        "{\"error\":{\"message\":\"secret: no key sk-secret\"}}",
                        End.COMPLETE));
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.CALL, responses);
                Capture capture = capturing(provider.baseUrl()).start()) {
            for (int i = 0; i < responses.size(); i++) {
                post(
                        capture.baseUrl() + CHAT + "?key=sk-secret",
                        "authorization",
                        "Bearer sk-secret",
                        "x-secret",
                        "secret");
            }
            capture.close();

            assertThat(booked).hasSize(3);
            assertThat(booked.stream().map(RequestUsageJson::write).toList().toString() + problems + capture)
                    .contains("asked-model")
                    .doesNotContain("secret");
        }
    }
}
