package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

@DisplayName("./fluxtally record")
@Timeout(60)
class RecordCommandTest {

    @TempDir
    private Path folder;

    @Test
    @DisplayName("records a tool loop as a file that replay agrees with, and sums it up when it ends")
    void recordsWhatReplays() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-three-rounds-running-stream");
        CommandRun record;
        String to;
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            to = provider.baseUrl();
            RunningCommand running =
                    new RunningCommand("record", "--to", to, "--out", folder.toString(), "--name", "trip");
            Engine.MODEL.stock(scenario, running.baseUrl()).toFuture().get();
            record = running.stop();
        }

        Path file = folder.resolve("trip.yaml");
        assertThat(record.status()).isZero();
        assertThat(record.err()).isEmpty();
        assertThat(record.out().lines().findFirst().orElseThrow())
                .matches("http://127\\.0\\.0\\.1:\\d+ -> " + to + ", until Ctrl-C");
        assertThat(record.out().lines().map(line -> List.of(line.strip().split(" {2,}"))))
                .contains(List.of("requests", "input", "output", "total", "file"))
                .anySatisfy(row -> assertThat(row).containsExactly("3", "19,000", "7,500", "26,500", file.toString()));
        assertThat(Files.readString(file)).doesNotContain("豫园", "get_weather", "city");

        CommandRun replay = CommandRun.of("replay", file.toString());

        assertThat(replay.err()).isEmpty();
        assertThat(replay.status()).isZero();
        assertThat(replay.out()).contains("trip, model, dashscope stream").contains("26,500");
    }

    @Test
    @DisplayName(
            "puts runs under a name of their own into files of that name, and says nothing was recorded where nothing was")
    void names() throws Exception {
        Scenario scenario = Scenarios.load("openai-call");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            RunningCommand running = new RunningCommand(
                    "record", "--to", provider.baseUrl(), "--out", folder.toString(), "--client", "deepseek");
            Engine.MODEL
                    .stock(scenario, running.baseUrl() + "/run/first")
                    .toFuture()
                    .get();
            running.stop();

            CommandRun idle = stopAtOnce("record", "--to", provider.baseUrl(), "--out", folder.toString());

            assertThat(idle.out()).contains("nothing was recorded");
        }
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).containsExactly(folder.resolve("first.yaml"));
        }
        assertThat(Files.readString(folder.resolve("first.yaml"))).contains("client: deepseek");
    }

    private static CommandRun stopAtOnce(String... args) throws Exception {
        RunningCommand running = new RunningCommand(args);
        running.baseUrl();
        return running.stop();
    }

    @Test
    @DisplayName("says in one line that its port is in use, and which")
    void busyPort() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CommandRun record = CommandRun.of(
                    "record", "--to", "http://127.0.0.1:9", "--port", Integer.toString(taken.getLocalPort()));

            assertThat(record.status()).isEqualTo(Fluxtally.FAILED);
            assertThat(record.out()).isEmpty();
            assertThat(record.err().lines())
                    .singleElement()
                    .asString()
                    .contains(
                            "port must be free, but port " + taken.getLocalPort() + " of 127.0.0.1 is in use already");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "record                                        | Missing required option: '--to=BASE_URL'",
                "record --to ftp://host                        | target must be an http or https URL of a host and a path",
                "record --to http://sk-key@host                | target must be an http or https URL of a host and a path",
                "record --to http://host?key=sk-key            | target must be an http or https URL of a host and a path",
                "record --to http://host/{x}?key=sk-key        | Invalid value for option '--to': not a URL at its character 13",
                "record --to http://host:70000                 | target must have a port of 1 to 65535, but has 70000",
                "record --to http://host --port 70000          | port must be 0 to 65535, but is 70000",
                "record --to http://host --name a/b            | name must be a letter or digit",
                "record --to http://host --client telex        | Invalid value for option '--client': client must be one of dashscope",
            })
    @DisplayName("says in one line what is wrong with its arguments, and repeats no key")
    void wrongArguments(String arguments, String problem) {
        CommandRun ended = CommandRun.of(arguments.split(" +"));

        assertThat(ended.status()).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(ended.out()).isEmpty();
        assertThat(ended.err()).doesNotContain("sk-key");
        assertThat(ended.err().lines()).singleElement().asString().startsWith("fluxtally: " + problem);
    }

    @Test
    @Timeout(30)
    @DisplayName("says at once that it cannot write to what is no folder")
    void noFolder() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");

        CommandRun ended = CommandRun.of("record", "--to", "http://127.0.0.1:9", "--out", file.toString());

        assertThat(ended.status()).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(ended.err().lines())
                .singleElement()
                .asString()
                .startsWith("fluxtally: --out must be a folder to write to, but " + file + " is none");
    }
}
