package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.conformance.Scenarios;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("./fluxtally replay")
class ReplayCommandTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    /** A starter scenario as a user's file. */
    private Path file(String scenario) throws IOException {
        Path file = folder.resolve(scenario + ".yaml");
        try (InputStream yaml = Scenarios.class.getResourceAsStream("scenarios/" + scenario + ".yaml")) {
            Files.write(file, yaml.readAllBytes());
        }
        return file;
    }

    @Test
    @DisplayName("prints one JSON object per file and nothing else, and ends with 0 where Fluxtally agrees")
    void json() throws IOException {
        CommandRun replay = CommandRun.of(
                "replay",
                "--json",
                file("dashscope-tool-loop-stream").toString(),
                file("openai-call").toString());

        assertThat(replay.status()).isZero();
        assertThat(replay.err()).isEmpty();
        assertThat(replay.out().lines()).hasSize(2);
        JsonNode loop = JSON.readTree(replay.out().lines().findFirst().orElseThrow());
        assertThat(loop.fieldNames())
                .toIterable()
                .containsExactly("scenario", "engine", "client", "mode", "billed", "fluxtally", "stock", "app_error");
        assertThat(loop.get("scenario").asText()).isEqualTo("dashscope-tool-loop-stream");
        assertThat(loop.get("engine").asText()).isEqualTo("model");
        assertThat(loop.at("/billed/total_tokens").asLong()).isEqualTo(486);
        assertThat(loop.at("/fluxtally/complete").asBoolean()).isTrue();
        assertThat(loop.at("/fluxtally/total/total_tokens").asLong()).isEqualTo(486);
        assertThat(loop.at("/fluxtally/requests")).hasSize(2);
        assertThat(loop.at("/fluxtally/requests/0/source").asText()).isEqualTo("REPORTED");
        assertThat(loop.at("/fluxtally/requests/0/outcome").asText()).isEqualTo("COMPLETED");
        assertThat(loop.at("/fluxtally/requests/0/input_tokens").asLong()).isEqualTo(200);
        assertThat(loop.at("/stock/input_tokens").asLong()).isEqualTo(260);
        assertThat(loop.at("/stock/output_tokens").asLong()).isEqualTo(6);
        assertThat(loop.at("/stock/error").isNull()).isTrue();
        assertThat(loop.at("/app_error").isNull()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"model", "chat-client", "graph", "alibaba"})
    @DisplayName("runs on each engine, and shows people a table")
    void engines(String engine) throws IOException {
        CommandRun replay = CommandRun.of(
                "replay",
                "--engine",
                engine,
                file("dashscope-three-rounds-running-stream").toString());

        assertThat(replay.err()).isEmpty();
        assertThat(replay.status()).isZero();
        assertThat(replay.out()).contains(", " + engine + ", dashscope stream").contains("26,500");
    }

    @Test
    @DisplayName("ends with 1 where Fluxtally differs from the bill, and names the fields on standard error")
    void differs() throws IOException {
        Path wrong = file("dashscope-plain-stream");
        Files.writeString(wrong, Files.readString(wrong).replace("output_tokens: 8", "output_tokens: 9"));

        CommandRun replay = CommandRun.of("replay", wrong.toString());

        assertThat(replay.status()).isEqualTo(1);
        assertThat(replay.err()).contains("dashscope-plain-stream: total.output_tokens: billed 9, counted 8");
    }

    @Test
    @DisplayName("says what the app would have seen as its error, beside a count that is right all the same")
    void appError() throws IOException {
        CommandRun replay = CommandRun.of(
                "replay", "--json", file("dashscope-error-frame-stream").toString());

        assertThat(replay.status()).isZero();
        JsonNode result = JSON.readTree(replay.out());
        assertThat(result.at("/app_error").asText()).contains("DashScopeException");
        assertThat(result.at("/stock/error").asText()).contains("DashScopeException");
        assertThat(result.at("/fluxtally/complete").asBoolean()).isFalse();
    }

    @Test
    @DisplayName("leaves out of its JSON what was never reported")
    void unreported() throws IOException {
        CommandRun replay =
                CommandRun.of("replay", "--json", file("openai-no-usage-stream").toString());

        JsonNode result = JSON.readTree(replay.out());
        assertThat(result.at("/fluxtally/total")).isEmpty();
        assertThat(result.at("/fluxtally/requests/0/source").asText()).isEqualTo("MISSING");
        assertThat(result.at("/fluxtally/requests/0").has("input_tokens")).isFalse();
    }

    @Test
    @DisplayName("shows people a dash, and no 0, for what was never reported")
    void unreportedForPeople() throws IOException {
        CommandRun replay =
                CommandRun.of("replay", file("openai-no-usage-stream").toString());

        assertThat(replay.out().lines().map(line -> line.strip().replaceAll(" +", " ")))
                .contains("Fluxtally (incomplete) - - -");
    }

    @Test
    @DisplayName("ends with 2 for a file that is not in the format, naming the file, the line and the rule")
    void badFile() throws IOException {
        Path bad = folder.resolve("bad.yaml");
        Files.writeString(bad, "name: bad\nfamily: dashscope\nclient: dashscope\nmode: streaming\n");

        CommandRun replay = CommandRun.of("replay", bad.toString());

        assertThat(replay.status()).isEqualTo(2);
        assertThat(replay.out()).isEmpty();
        assertThat(replay.err().lines())
                .singleElement()
                .asString()
                .contains("bad.yaml:4: mode must be stream or call, but is \"streaming\"");
    }

    static Stream<Arguments> badFiles() {
        String start = "name: bad\nfamily: dashscope\nclient: dashscope\nmode: call\n";
        String end = "responses:\n  - body: '{}'\nbilled: {complete: true, total: {}}\n";
        return Stream.of(
                bad("an empty file", "", "bad.yaml:1: a scenario must be a mapping, but the file is empty"),
                bad("no YAML", "name: [bad\n", "bad.yaml:2: must be valid YAML, but: "),
                bad(
                        "two documents",
                        start + end + "---\n" + start,
                        "bad.yaml:8: must be valid YAML, but: expected a single"),
                bad(
                        "an unknown key",
                        start + "model: x\n" + end,
                        "bad.yaml:5: a key of a scenario must be one of name, "),
                bad("a missing key", start + "responses: [{}]\n", "bad.yaml:1: billed must be given, but is missing"),
                bad(
                        "an unknown client",
                        start.replace("client: dashscope", "client: gpt") + end,
                        "bad.yaml:3: client must be dashscope, openai, "),
                bad(
                        "no responses",
                        start + "responses: []\nbilled: {complete: true, total: {}}\n",
                        "bad.yaml:5: responses must have at least one response, but is empty"),
                bad(
                        "a status that is none",
                        start + end.replace("- body: '{}'", "- status: 99"),
                        "bad.yaml:6: responses[0].status must be 200 to 599, but is 99"),
                bad(
                        "a figure that is none",
                        start + end.replace("total: {}", "total: {input_tokens: many}"),
                        "bad.yaml:7: billed.total.input_tokens must be a whole number, but is \"many\""),
                bad(
                        "an alias bomb",
                        start + "options: {a: &a [1], b: [" + "*a, ".repeat(40) + "*a]}\n" + end,
                        "bad.yaml:5: a scenario must have at most 32 aliases, but has more"),
                bad("a tag", start.replace("name: bad", "name: !!java.io.File bad") + end, "bad.yaml:1: "));
    }

    private static Arguments bad(String what, String yaml, String complaint) {
        return Arguments.argumentSet(what, yaml.getBytes(StandardCharsets.UTF_8), complaint);
    }

    @ParameterizedTest
    @MethodSource("badFiles")
    @DisplayName("runs nothing if one file of several is not in the format")
    void oneBadFileOfSeveral(byte[] bytes, String complaint) throws IOException {
        Path bad = Files.write(folder.resolve("bad.yaml"), bytes);

        assertRefused(CommandRun.of("replay", "--json", file("openai-call").toString(), bad.toString()), complaint);
    }

    @Test
    @DisplayName("ends with 2 for a directory, a file that is not UTF-8 and a link that leads nowhere")
    void unreadable() throws IOException {
        assertRefused(
                CommandRun.of("replay", folder.toString()), folder + ": must be a readable file, but is a directory");
        Path latin =
                Files.write(folder.resolve("latin.yaml"), "name: caf\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
        assertRefused(
                CommandRun.of("replay", latin.toString()), latin + ":1: the file must be in UTF-8, but has byte 0xe9");
        Path link = folder.resolve("link.yaml");
        Files.createSymbolicLink(link, link);
        assertRefused(CommandRun.of("replay", link.toString()), link + ": must be a readable file, but failed with: ");
    }

    private static void assertRefused(CommandRun replay, String complaint) {
        assertThat(replay.status()).isEqualTo(2);
        assertThat(replay.out()).isEmpty();
        assertThat(replay.err().lines())
                .singleElement()
                .asString()
                .startsWith("fluxtally: ")
                .contains(complaint);
    }

    @Test
    @DisplayName("ends with 2 for a file that is not there, for none, and for an engine that is not there")
    void wrongArguments() {
        assertThat(CommandRun.of("replay", "nowhere.yaml").status()).isEqualTo(2);
        assertThat(CommandRun.of("replay", "nowhere.yaml").err()).contains("nowhere.yaml");
        assertThat(CommandRun.of("replay").err()).startsWith("fluxtally: Missing required parameter: 'FILE'");
        assertThat(CommandRun.of("replay", "--engine", "steam", "x.yaml").status())
                .isEqualTo(2);
        assertThat(CommandRun.of("replay", "--engine", "steam", "x.yaml").err())
                .contains("engine must be one of model, chat-client, graph, alibaba, but is \"steam\"");
    }
}
