package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

@DisplayName("./fluxtally")
class DemoCommandTest {

    private static List<List<String>> rows(CommandRun run) {
        return run.out().lines().map(line -> List.of(line.strip().split("  +"))).toList();
    }

    @Test
    @DisplayName("demo shows the answer as it streams, each round, and the bill beside what is read of it")
    void demo() {
        CommandRun demo = CommandRun.of("demo");

        assertThat(demo.status()).isZero();
        assertThat(demo.err()).isEmpty();
        assertThat(demo.out()).contains("周六上午去豫园", "[tool] get_weather", "[tool] get_forecast");
        assertThat(rows(demo))
                .contains(List.of("1", "5,000", "2,000", "0", "640", "REPORTED"))
                .contains(List.of("2", "8,000", "3,000", "4,864", "896", "REPORTED"))
                .contains(List.of("3", "6,000", "2,500", "5,120", "512", "REPORTED"))
                .contains(List.of("total", "19,000", "7,500", "9,984", "2,048", "complete"))
                .contains(List.of("the provider bills", "19,000", "7,500", "26,500"))
                .contains(List.of("Fluxtally reads", "19,000", "7,500", "26,500"))
                .contains(List.of("the stock stack reads", "6,000", "2,500", "8,500"));
    }

    @Test
    @DisplayName("demo says in one line that its port is busy")
    void busyPort() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CommandRun demo = CommandRun.of("demo", "--port", Integer.toString(taken.getLocalPort()));

            assertThat(demo.status()).isEqualTo(Fluxtally.FAILED);
            assertThat(demo.out()).isEmpty();
            assertThat(demo.err().lines())
                    .singleElement()
                    .asString()
                    .contains("port must be free")
                    .contains(Integer.toString(taken.getLocalPort()));
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "demo --bogus           | Unknown option: '--bogus'",
                "demo --port 70000      | --port must be 0 to 65535, but is 70000",
                "demo --port x          | Invalid value for option '--port': 'x' is not an int",
                "demo --live --port 80  | --port is for the provider on this machine and does not go with --live",
                "replay-not-there       | Unmatched argument at index 0: 'replay-not-there'",
            })
    @DisplayName("says in one line what is wrong with its arguments")
    void wrongArguments(String arguments, String problem) {
        CommandRun ended = CommandRun.of(arguments.split(" +"));

        assertThat(ended.status()).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(ended.out()).isEmpty();
        assertThat(ended.err().lines()).singleElement().asString().startsWith("fluxtally: " + problem);
    }

    @Test
    @DisplayName("demo --live says in one line that the key is missing")
    void missingKey() {
        CommandRun demo = CommandRun.of("demo", "--live");

        assertThat(demo.status()).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(demo.err().lines()).singleElement().asString().contains("AI_DASHSCOPE_API_KEY, which is not set");
    }

    @Test
    @DisplayName("without a command says so")
    void noCommand() {
        CommandRun ended = CommandRun.of();

        assertThat(ended.status()).isEqualTo(CommandLine.ExitCode.USAGE);
        assertThat(ended.err()).startsWith("fluxtally: a command is missing");
    }
}
