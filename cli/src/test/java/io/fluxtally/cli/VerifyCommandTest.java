package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("./fluxtally verify")
class VerifyCommandTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    private static String record(String id, String run) {
        return LedgerRecord.write(RequestUsage.builder(id, Instant.parse("2026-01-31T12:00:00Z"))
                        .runId(run)
                        .usage(TokenUsage.of(1000, 20), UsageSource.REPORTED)
                        .build())
                + "\n";
    }

    private Path ledger(String text) throws IOException {
        return Files.writeString(folder.resolve("usage-2026-01-31-0001.jsonl"), text);
    }

    @Test
    @DisplayName("ends with 0 where all is right, and shows what the runs come to")
    void sound() throws IOException {
        ledger(record("a", "run") + record("b", null) + "{");

        CommandRun run = CommandRun.of("verify", folder.toString());

        assertThat(run.err()).isEmpty();
        assertThat(run.status()).isZero();
        assertThat(run.out().lines().map(line -> line.replaceAll(" +", " ")))
                .startsWith("2 requests, in 1 runs and 1 outside")
                .contains(
                        " requests input output total",
                        " runs 1 1,000 20 1,020",
                        " outside runs 1 1,000 20 1,020",
                        " ledger 2 2,000 40 2,040")
                .anyMatch(line -> line.startsWith("cut by a crash, no fault: ") && line.contains(", line 3: "))
                .endsWith("The ledger is sound.");
    }

    @Test
    @DisplayName("ends with 1 where something is wrong, with file, line, rule and value")
    void wrong() throws IOException {
        Path file = ledger(record("a", "run") + "junk\n".repeat(3) + record("a", "run"));

        CommandRun run = CommandRun.of("verify", folder.toString(), "--limit", "1");

        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out().lines())
                .anyMatch(line -> line.startsWith(file + ", line 2: must be a JSON object, but "))
                .contains("... and 3 more")
                .endsWith("The ledger is not sound.");
    }

    @Test
    @DisplayName("prints one JSON object and nothing else")
    void json() throws IOException {
        Path file = ledger(record("a", "run") + record("a", "run") + "{");

        CommandRun run = CommandRun.of("verify", file.toString(), "--json");

        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out().lines()).hasSize(1);
        JsonNode json = JSON.readTree(run.out());
        assertThat(json.get("sound").asBoolean()).isFalse();
        assertThat(json.get("runs").asLong()).isEqualTo(1);
        assertThat(json.at("/total/input_tokens").asLong()).isEqualTo(1000);
        assertThat(json.at("/findings").asLong()).isEqualTo(1);
        assertThat(json.at("/listed/0/line").asLong()).isEqualTo(2);
        assertThat(json.at("/listed/0/rule").asText()).isEqualTo("a request must be there once");
        assertThat(json.at("/torn/0/line").asLong()).isEqualTo(3);
    }

    @Test
    @DisplayName("ends with 2 where there is no ledger, and for wrong arguments")
    void unreadable() {
        for (CommandRun run : new CommandRun[] {
            CommandRun.of("verify", folder.resolve("nowhere").toString()),
            CommandRun.of("verify"),
            CommandRun.of("verify", folder.toString(), "--limit", "-1")
        }) {
            assertThat(run.status()).isEqualTo(2);
            assertThat(run.out()).isEmpty();
            assertThat(run.err().lines()).singleElement().asString().startsWith("fluxtally: ");
        }
    }
}
