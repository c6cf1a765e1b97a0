package io.fluxtally.ledger.intercept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("An intercept log")
class InterceptLogTest {

    private static final String SECRET = "the secret prompt";

    private static final String FULL =
            "{\"type\":\"token\",\"ts\":1764000000,\"id\":\"c-1\",\"model\":\"qwen3-coder\",\"prompt_tokens\":900,"
                    + "\"cached_tokens\":640,\"completion_tokens\":21,\"reasoning_tokens\":0,\"total_tokens\":921}";

    @TempDir
    private Path folder;

    private final List<InterceptProblem> problems = new ArrayList<>();

    private InterceptLog read(String... lines) throws IOException {
        Path file = folder.resolve("intercept.jsonl");
        Files.writeString(file, String.join("\n", lines) + "\n");
        return InterceptLog.read(List.of(file), problems::add);
    }

    private static String token(String id, String figures) {
        return "{\"type\":\"token\",\"id\":\"%s\",%s}".formatted(id, figures);
    }

    @Test
    @DisplayName("has the figures of a line by its id")
    void figures() throws Exception {
        InterceptLog log = read(FULL);

        assertThat(log.find("c-1")).contains(new InterceptRecord("c-1", "qwen3-coder", 900L, 640L, 21L, 0L, 921L, 1));
        assertThat(log.find("c-2")).isEmpty();
        assertThat(problems).isEmpty();
    }

    @Test
    @DisplayName("keeps absent and null apart from 0")
    void absent() throws Exception {
        InterceptLog log = read(
                token("c-1", "\"prompt_tokens\":5"),
                token("c-2", "\"prompt_tokens\":5,\"cached_tokens\":null"),
                token("c-3", "\"prompt_tokens\":5,\"cached_tokens\":0"));

        assertThat(log.records()).extracting(InterceptRecord::cachedTokens).containsExactly(null, null, 0L);
    }

    @Test
    @DisplayName("T24: takes the last line of an id, and not the first, over several files")
    void lastWins() throws Exception {
        Path first = folder.resolve("1.jsonl");
        Path second = folder.resolve("2.jsonl");
        Files.writeString(
                first,
                token("c-1", "\"completion_tokens\":1,\"cached_tokens\":3") + "\n"
                        + token("c-2", "\"completion_tokens\":4") + "\n" + token("c-1", "\"completion_tokens\":7")
                        + "\n");
        Files.writeString(second, token("c-2", "\"completion_tokens\":9"));

        InterceptLog log = InterceptLog.read(List.of(first, second), problems::add);

        assertThat(log.records())
                .containsExactly(
                        new InterceptRecord("c-1", null, null, null, 7L, null, null, 3),
                        new InterceptRecord("c-2", null, null, null, 9L, null, null, 1));
        assertThat(log.tokenLines()).isEqualTo(4);
    }

    @Test
    @DisplayName(
            "T21: passes over system prompts, of whatever length and in whatever order of fields, and lines of other types")
    void systemPrompts() throws Exception {
        String huge = "x".repeat(5_000_000);
        InterceptLog log = read(
                "{\"type\":\"system_prompt\",\"content\":\"" + SECRET + "\"}",
                "{\"content\":\"" + SECRET + "\",\"type\":\"system_prompt\"}",
                "{\"type\":\"system_prompt\",\"content\":\"" + huge + "\"}",
                "{\"type\":\"tool\",\"prompt_tokens\":\"no figure here\"}",
                "",
                " \r",
                FULL);

        assertThat(log.systemPrompts()).isEqualTo(3);
        assertThat(log.otherLines()).isEqualTo(1);
        assertThat(log.problems()).isZero();
        assertThat(problems).isEmpty();
        assertThat(log.records()).hasSize(1);
        assertThat(log.records().iterator().next().line()).isEqualTo(7);
        assertThat(log.toString() + log.records()).doesNotContain(SECRET);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "the secret prompt | a line must be a JSON object",
                "\"the secret prompt\" | a line must be a JSON object",
                "[1] | a line must be a JSON object",
                "{\"type\":\"token\",\"id\":\"the secret prompt | a line must be a JSON object",
                "{\"type\":\"token\"} {} | a line must be a JSON object",
                "{\"type\":\"token\",\"id\":\"a\",\"id\":\"the secret prompt\",\"prompt_tokens\":1} | a line must be a JSON object",
                "{\"id\":\"a\",\"prompt_tokens\":1} | type must be a text of at most 256 characters",
                "{\"type\":\"token\",\"prompt_tokens\":1} | id must be a text of 1 to 256 characters",
                "{\"type\":\"token\",\"id\":7,\"prompt_tokens\":1} | id must be a text of 1 to 256 characters",
                "{\"type\":\"token\",\"id\":\"\",\"prompt_tokens\":1} | id must be a text of 1 to 256 characters",
                "{\"type\":\"token\",\"id\":\"a\",\"model\":{\"a\":[1]},\"prompt_tokens\":1} | model must be a text of at most 256 characters",
                "{\"type\":\"token\",\"id\":\"a\"} | a token line must have a figure",
                "{\"type\":\"token\",\"id\":\"a\",\"prompt_tokens\":\"the secret prompt\"} | prompt_tokens must be a whole number",
                "{\"type\":\"token\",\"id\":\"a\",\"cached_tokens\":\"12\"} | cached_tokens must be a whole number",
                "{\"type\":\"token\",\"id\":\"a\",\"total_tokens\":1.0} | total_tokens must be a whole number",
                "{\"type\":\"token\",\"id\":\"a\",\"total_tokens\":{\"a\":1}} | total_tokens must be a whole number",
                "{\"type\":\"token\",\"id\":\"a\",\"reasoning_tokens\":-1} | reasoning_tokens must be from 0 to 9223372036854775807",
                "{\"type\":\"token\",\"id\":\"a\",\"completion_tokens\":9223372036854775808} | completion_tokens must be from 0 to 9223372036854775807",
            })
    @DisplayName("passes over a line that breaks a rule, and says which, where, and nothing of what is in it")
    void junk(String line, String rule) throws Exception {
        InterceptLog log = read(line, FULL, line);

        assertThat(log.records()).hasSize(1);
        assertThat(log.problems()).isEqualTo(2);
        assertThat(problems).extracting(InterceptProblem::line).containsExactly(1L, 3L);
        assertThat(problems).allSatisfy(problem -> {
            assertThat(problem.rule()).isEqualTo(rule);
            assertThat(problem).hasToString(folder.resolve("intercept.jsonl") + ":" + problem.line() + ": " + rule);
        });
    }

    @Test
    @DisplayName("does not let a line that breaks a rule take the place of one that does not")
    void junkIsNotLast() throws Exception {
        InterceptLog log = read(FULL, token("c-1", "\"prompt_tokens\":-1"), token("c-1", "\"prompt_tokens\":null"));

        assertThat(log.find("c-1").orElseThrow().promptTokens()).isEqualTo(900);
        assertThat(log.problems()).isEqualTo(2);
    }

    @Test
    @DisplayName("passes over a line that is too long to be one with figures")
    void tooLong() throws Exception {
        InterceptLog log =
                read(token("c-9", "\"prompt_tokens\":1,\"x\":\"" + "x".repeat(BoundedLines.LONGEST) + "\""), FULL);

        assertThat(log.records()).hasSize(1);
        assertThat(problems)
                .extracting(InterceptProblem::rule)
                .containsExactly("a line that is no system prompt must have at most 65536 bytes");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
    @DisplayName("comes to the same for a file with junk bytes between its lines as without, but for the count")
    void anyBytes(int seed) throws Exception {
        Random random = new Random(seed);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 200; i++) {
            byte[] junk = new byte[random.nextInt(40)];
            random.nextBytes(junk);
            text.append(new String(junk, StandardCharsets.ISO_8859_1)
                            .replace("\n", "")
                            .replace("{", ""))
                    .append("\n")
                    .append(token("c-" + i, "\"prompt_tokens\":" + i))
                    .append("\n");
        }
        Path file = Files.writeString(folder.resolve("junk.jsonl"), text.toString(), StandardCharsets.ISO_8859_1);

        assertThat(InterceptLog.read(file).records())
                .extracting(InterceptRecord::promptTokens)
                .hasSize(200)
                .contains(0L, 199L);
    }

    @Test
    @DisplayName("holds the beginning of a line only, and wipes it before it goes on to the next")
    void wiped() throws Exception {
        byte[] text = (SECRET + "\nab\n").getBytes(StandardCharsets.UTF_8);
        BoundedLines lines = new BoundedLines(new ByteArrayInputStream(text));

        lines.advance();
        assertThat(new String(lines.line(), StandardCharsets.UTF_8)).contains(SECRET);
        lines.advance();

        assertThat(new String(lines.line(), StandardCharsets.UTF_8))
                .contains("ab")
                .doesNotContain(SECRET.substring(2, 5));
        assertThat(lines.length()).isEqualTo(2);
    }

    @Test
    @DisplayName("reads a system prompt of a gigabyte in the memory of a short line")
    void endlessLine() throws Exception {
        byte[] head = "{\"type\":\"system_prompt\",\"content\":\"".getBytes(StandardCharsets.UTF_8);
        BoundedLines lines = new BoundedLines(new InputStream() {
            private long at;

            @Override
            public int read() {
                return at < head.length ? head[(int) at++] : at++ < 1L << 30 ? 'x' : -1;
            }

            @Override
            public int read(byte[] bytes, int offset, int length) {
                if (at < head.length) {
                    bytes[offset] = (byte) read();
                    return 1;
                }
                int count = (int) Math.min(length, (1L << 30) - at);
                at += count;
                return count == 0 ? -1 : count;
            }
        });

        assertThat(lines.advance()).isTrue();
        assertThat(lines.isCut()).isTrue();
        assertThat(lines.length()).isEqualTo(BoundedLines.LONGEST);
        assertThat(InterceptLine.read(lines.line(), lines.length(), true).isSystemPrompt())
                .isTrue();
        assertThat(lines.advance()).isFalse();
    }

    @Test
    @DisplayName("must be there")
    void notThere() {
        assertThatThrownBy(() -> InterceptLog.read(folder.resolve("none"))).isInstanceOf(NoSuchFileException.class);
    }
}
