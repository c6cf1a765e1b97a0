package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("./fluxtally capture")
@Timeout(60)
class CaptureCommandTest {

    private static final String GENERATION = "/api/v1/services/aigc/text-generation/generation";

    @TempDir
    private Path folder;

    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private HttpResponse<String> post(String baseUrl) throws Exception {
        return http.send(
                HttpRequest.newBuilder(URI.create(baseUrl + GENERATION + "?key=sk-secret"))
                        .header("X-DashScope-SSE", "enable")
                        .header("authorization", "Bearer sk-secret")
                        .POST(BodyPublishers.ofString(
                                "{\"model\":\"qwen-plus\",\"input\":{\"prompt\":\"secret question\"}}"))
                        .build(),
                BodyHandlers.ofString());
    }

    private static List<RequestUsage> ledger(Path folder) {
        List<RequestUsage> records = new ArrayList<>();
        LedgerReader.of(folder).forEach(records::add);
        return records;
    }

    /** All that there is in the folder, names of files included. */
    private String everythingWritten() throws IOException {
        StringBuilder all = new StringBuilder();
        try (Stream<Path> files = Files.walk(folder)) {
            files.forEach(file -> {
                all.append(file).append('\n');
                try {
                    if (Files.isRegularFile(file)) {
                        all.append(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
                    }
                } catch (IOException failed) {
                    throw new UncheckedIOException(failed);
                }
            });
        }
        return all.toString();
    }

    @Test
    @DisplayName("writes what a client of any kind is billed to a ledger, run by run, and nothing of what was said")
    void writesTheBill() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-three-rounds-running-stream");
        CommandRun capture;
        List<String> direct = new ArrayList<>();
        List<String> through = new ArrayList<>();
        String to;
        Path ledger = folder.resolve("ledger");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            to = provider.baseUrl("app");
            RunningCommand running =
                    new RunningCommand("capture", "--to", to, "--ledger", ledger.toString(), "--run", "other");
            for (int i = 0; i < scenario.responses().size(); i++) {
                direct.add(post(provider.baseUrl("direct")).body());
                through.add(post(running.baseUrl() + "/run/trip").body());
            }
            capture = running.stop();
        }

        assertThat(through).isEqualTo(direct);
        assertThat(capture.err()).isEmpty();
        assertThat(capture.status()).isZero();
        assertThat(capture.out().lines().findFirst().orElseThrow())
                .matches("http://127\\.0\\.0\\.1:\\d+ -> " + to + ", into " + ledger + ", until Ctrl-C");
        assertThat(capture.out().lines().map(line -> List.of(line.strip().split(" {2,}"))))
                .contains(
                        List.of("requests", "input", "output", "total", "run"),
                        List.of("3", "19,000", "7,500", "26,500", "trip"));

        List<RequestUsage> records = ledger(ledger);
        assertThat(BillCheck.differences(scenario.billed(), RunUsage.of(records, 0)))
                .isEmpty();
        assertThat(records).extracting(RequestUsage::runId).containsOnly("trip");
        assertThat(records).extracting(RequestUsage::model).containsOnly("qwen-plus");
        assertThat(everythingWritten())
                .contains("26", "qwen-plus")
                .doesNotContain("secret", "sk-", "豫园", "get_weather", "city", "Bearer", "authorization");
    }

    @Test
    @DisplayName(
            "goes on passing when the thread that writes the ledger is stopped, and says what is not in the ledger")
    void writerKilled() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-plain-stream");
        Path ledger = folder.resolve("ledger");
        try (LoopbackProvider provider = LoopbackProvider.builder()
                .start(
                        scenario.mode(),
                        Collections.nCopies(6, scenario.responses().get(0)))) {
            RunningCommand running =
                    new RunningCommand("capture", "--to", provider.baseUrl("app"), "--ledger", ledger.toString());
            running.baseUrl();
            for (int i = 0; i < 6; i++) {
                Thread.getAllStackTraces().keySet().stream()
                        .filter(thread -> thread.getName().startsWith("fluxtally-ledger"))
                        .forEach(Thread::interrupt);

                assertThat(post(running.baseUrl()).body())
                        .isEqualTo(post(provider.baseUrl("direct")).body());
            }
            CommandRun capture = running.stop();

            int written = ledger(ledger).size();
            assertThat(capture.out()).containsPattern("6 .* captured-\\d{8}-\\d{6}");
            if (written == 6) {
                assertThat(capture.status()).isZero();
            } else {
                assertThat(capture.status()).isEqualTo(Fluxtally.FAILED);
                assertThat(capture.err()).contains("fluxtally: " + (6 - written));
            }
        }
    }

    @Test
    @DisplayName("does not begin where another writes the ledger, and says so")
    void ledgerInUse() throws Exception {
        Path ledger = folder.resolve("ledger");
        RunningCommand first =
                new RunningCommand("capture", "--to", "http://127.0.0.1:9", "--ledger", ledger.toString());
        first.baseUrl();

        CommandRun second = CommandRun.of("capture", "--to", "http://127.0.0.1:9", "--ledger", ledger.toString());

        assertThat(second.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(second.err().lines()).singleElement().asString().contains(ledger.toString(), "must have one writer");
        assertThat(first.stop().out()).contains("no request to a model passed");
    }

    @Test
    @DisplayName("says in one line that its port is in use, and leaves the ledger to others")
    void busyPort() throws Exception {
        String ledger = folder.resolve("ledger").toString();
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CommandRun capture = CommandRun.of(
                    "capture",
                    "--to",
                    "http://127.0.0.1:9",
                    "--ledger",
                    ledger,
                    "--port",
                    Integer.toString(taken.getLocalPort()));

            assertThat(capture.status()).isEqualTo(Fluxtally.FAILED);
            assertThat(capture.err().lines())
                    .singleElement()
                    .asString()
                    .contains("port " + taken.getLocalPort() + " of 127.0.0.1 is in use already");
        }
        RunningCommand next = new RunningCommand("capture", "--to", "http://127.0.0.1:9", "--ledger", ledger);
        next.baseUrl();
        assertThat(next.stop().status()).isZero();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "capture --ledger LEDGER                                        | Missing required option: '--to=BASE_URL'",
                "capture --to http://127.0.0.1:9                                | Missing required option: '--ledger=DIR'",
                "capture --ledger LEDGER --to ftp://x                           | target must be an http or https URL of a host and a path",
                "capture --ledger LEDGER --to http://127.0.0.1:9 --port 70000   | port must be 0 to 65535, but is 70000",
                "capture --ledger LEDGER --to http://127.0.0.1:9 --run ../x     | name must be a letter or digit"
            })
    @DisplayName("says in one line what is wrong about its options, and makes nothing")
    void wrongOptions(String command, String message) {
        CommandRun capture = CommandRun.of(
                command.replace("LEDGER", folder.resolve("ledger").toString()).split(" +"));

        assertThat(capture.status()).isEqualTo(2);
        assertThat(capture.err().lines()).singleElement().asString().contains(message);
        assertThat(folder).isEmptyDirectory();
    }
}
