package io.fluxtally.ledger.reconcile;

import static io.fluxtally.ledger.reconcile.Requests.NOON;
import static io.fluxtally.ledger.reconcile.Requests.reported;
import static io.fluxtally.ledger.reconcile.Requests.request;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

@DisplayName("Holding a ledger against itself")
class LedgerVerificationTest {

    private static final Clock CLOCK = Clock.fixed(NOON.plus(Duration.ofHours(1)), ZoneOffset.UTC);

    @TempDir
    private Path folder;

    private static String lines(RequestUsage... requests) {
        return Stream.of(requests)
                .map(request -> LedgerRecord.write(request) + "\n")
                .reduce("", String::concat);
    }

    private Path ledger(String text) throws IOException {
        Files.writeString(folder.resolve("usage-2026-01-31-0001.jsonl"), text);
        return folder;
    }

    private static VerificationReport verify(Path ledger) {
        return LedgerVerification.of(ledger).withClock(CLOCK).run();
    }

    private static List<String> findings(VerificationReport report) {
        return report.listed().stream()
                .map(finding -> finding.toString().replaceAll("[^ ]*/", ""))
                .toList();
    }

    @Test
    @DisplayName("finds nothing in what a ledger writes, and adds up its runs and what is outside them")
    void sound() throws IOException {
        RequestUsage cached = request("b")
                .runId("other")
                .usage(
                        TokenUsage.builder()
                                .inputTokens(10)
                                .outputTokens(5)
                                .totalTokens(17)
                                .part(TokenPart.CACHE_READ_INPUT, 4)
                                .part(TokenPart.REASONING_OUTPUT, 0)
                                .build(),
                        UsageSource.PARTIAL)
                .labels(Map.of(RequestUsage.USER, "u"))
                .reported(Map.of("usage.prompt_tokens", 10L))
                .timeToFirstChunk(Duration.ofMillis(5))
                .duration(Duration.ofSeconds(1))
                .build();
        RequestUsage missing = request("c").usage(null, UsageSource.MISSING).build();
        RequestUsage outside = request("d").runId(null).build();

        VerificationReport report = verify(ledger(lines(reported("a", 20, 2), cached, missing, outside)));

        assertThat(report.isSound()).isTrue();
        assertThat(report.requests()).isEqualTo(4);
        assertThat(report.runs()).isEqualTo(2);
        assertThat(report.outsideRuns()).isEqualTo(1);
        assertThat(report.sources())
                .isEqualTo(Map.of(UsageSource.REPORTED, 2L, UsageSource.PARTIAL, 1L, UsageSource.MISSING, 1L));
        assertThat(report.total())
                .hasToString("Figures[requests=4, input_tokens=31, output_tokens=8, total_tokens=41,"
                        + " cache_read_input_tokens=4, reasoning_output_tokens=0]");
        assertThat(report.ofRuns())
                .hasToString("Figures[requests=3, input_tokens=30, output_tokens=7, total_tokens=39,"
                        + " cache_read_input_tokens=4, reasoning_output_tokens=0]");
        assertThat(report.ofOthers())
                .hasToString("Figures[requests=1, input_tokens=1, output_tokens=1, total_tokens=2]");
    }

    @Test
    @DisplayName("finds nothing in a ledger of nothing, and in runs of which nothing is known")
    void unknown() throws IOException {
        assertThat(verify(ledger("")).isSound()).isTrue();
        VerificationReport report = verify(
                ledger(lines(request("a").usage(null, UsageSource.MISSING).build())));
        assertThat(report.isSound()).isTrue();
        assertThat(report.total()).hasToString("Figures[requests=1]");
    }

    static Stream<Arguments> wrong() {
        String good = lines(reported("a", 10, 5));
        return Stream.of(
                wrong("no JSON", good + "{\"v\":1\n", "line 2: must be a JSON object, but "),
                wrong("no record", good + "[1]\n", "line 2: must be a JSON object, but "),
                wrong(
                        "a later version",
                        good.replace("\"v\":1", "\"v\":2"),
                        "line 1: \"v\" must be 1, the latest version known here, but is 2"),
                wrong(
                        "a part that exceeds its total",
                        good.replace("\"total_tokens\":15", "\"total_tokens\":15,\"cache_read_input_tokens\":11"),
                        "line 1: cacheReadInputTokens (11) is a part of inputTokens (10) and must not exceed it"),
                wrong(
                        "a total below its sides",
                        good.replace("\"total_tokens\":15", "\"total_tokens\":14"),
                        "line 1: total_tokens must be at least input_tokens and output_tokens together, but is 14 of 10 and 5"),
                wrong(
                        "sides beyond all",
                        good.replace("\"input_tokens\":10", "\"input_tokens\":9223372036854775807"),
                        "line 1: total_tokens must be at least input_tokens and output_tokens together, but is 15 of 9223372036854775807 and 5"),
                wrong(
                        "a figure of a missing one",
                        good.replace("REPORTED", "MISSING"),
                        "line 1: usage must be null exactly if source is MISSING, but "),
                wrong(
                        "no attempt",
                        good.replace("\"attempt\":1", "\"attempt\":0"),
                        "line 1: attempt must be 1 or more, but is 0"),
                wrong(
                        "a negative duration",
                        good.replace("\"duration_nanos\":0", "\"duration_nanos\":-1"),
                        "line 1: duration_nanos must not be negative, but is -1"),
                wrong(
                        "a first chunk after the last",
                        good.replace("\"duration_nanos\":0", "\"duration_nanos\":1,\"time_to_first_chunk_nanos\":2"),
                        "line 1: time_to_first_chunk_nanos must not exceed duration_nanos, but is 2 of 1"),
                wrong(
                        "the future",
                        good.replace("2026-01-31T12", "2026-02-02T12"),
                        "line 1: start must not lie in the future, but is 2026-02-02T12:00:00Z"),
                wrong(
                        "a long label",
                        lines(request("a").labels(Map.of("k", "v".repeat(257))).build()),
                        "line 1: the value of a label must have 1 to 256 characters, but has 257"),
                wrong(
                        "a long name of a label",
                        lines(request("a").labels(Map.of("k".repeat(65), "v")).build()),
                        "line 1: the name of a label must have 1 to 64 characters, but has 65"),
                wrong(
                        "many labels",
                        lines(request("a").labels(many("x")).build()),
                        "line 1: labels must be at most 16, but are 65"),
                wrong(
                        "many figures",
                        lines(request("a").reported(figures()).build()),
                        "line 1: reported must have at most 64 figures, but has 65"),
                wrong("a key twice", good + good, "line 2: a request must be there once, but a was there before"));
    }

    private static Map<String, String> many(String value) {
        Map<String, String> labels = new TreeMap<>();
        for (int i = 0; i <= 64; i++) {
            labels.put("k" + i, value);
        }
        return labels;
    }

    private static Map<String, Long> figures() {
        Map<String, Long> figures = new TreeMap<>();
        many("").keySet().forEach(key -> figures.put(key, 1L));
        return figures;
    }

    private static Arguments wrong(String what, String text, String finding) {
        return Arguments.argumentSet(what, text, finding);
    }

    @ParameterizedTest
    @MethodSource("wrong")
    @DisplayName("finds what is wrong with a line, with its file, its number, the rule and the value")
    void wrong(String text, String finding) throws IOException {
        VerificationReport report = verify(ledger(text));

        assertThat(report.isSound()).isFalse();
        assertThat(findings(report)).singleElement().asString().startsWith("usage-2026-01-31-0001.jsonl, " + finding);
    }

    @Test
    @DisplayName("says nothing of an id that may be a text")
    void privacy() throws IOException {
        String text = "tell me about the weather";
        RequestUsage odd = RequestUsage.builder(text, NOON).runId(text).build();

        assertThat(findings(verify(ledger(lines(odd, odd)))))
                .singleElement()
                .asString()
                .doesNotContain("weather");
    }

    @Test
    @DisplayName("takes a last line that a crash has cut for no fault, and tells of it")
    void torn() throws IOException {
        VerificationReport report = verify(ledger(lines(reported("a", 10, 5)) + "{\"v\":1,\"request"));

        assertThat(report.isSound()).isTrue();
        assertThat(report.requests()).isEqualTo(1);
        assertThat(report.torn())
                .singleElement()
                .satisfies(torn -> assertThat(torn.line()).isEqualTo(2));
    }

    @Test
    @DisplayName("finds a sum that no count can hold, in the run and in the ledger")
    void overflow() throws IOException {
        TokenUsage half = TokenUsage.of(Long.MAX_VALUE / 2 + 1, 0);
        VerificationReport report = verify(ledger(lines(
                request("a").usage(half, UsageSource.REPORTED).build(),
                request("b").usage(half, UsageSource.REPORTED).build())));

        assertThat(findings(report))
                .contains(
                        folder.getFileName()
                                + ": the total of run run must be the sum of its requests, but that is beyond the range of a long",
                        folder.getFileName()
                                + ": the total of the ledger must be the sum of its requests, but that is beyond the range of a long");
    }

    @Test
    @DisplayName(
            "finds a key twice however far apart, over files, with the place of the first and whether they are the same")
    void farApart() throws IOException {
        RequestUsage twice = reported("twice", 10, 5);
        try (Writer out = Files.newBufferedWriter(folder.resolve("usage-2026-01-30-0001.jsonl"))) {
            out.write(lines(reported("other", 1, 1), twice, reported("changed", 1, 1)));
            for (int i = 0; i < LedgerReader.REMEMBERED_KEYS; i++) {
                out.write("{\"v\":1,\"request_id\":\"k-" + i
                        + "\",\"attempt\":1,\"source\":\"MISSING\",\"outcome\":\"FAILED\","
                        + "\"start\":\"2026-01-31T12:00:00Z\",\"duration_nanos\":1}\n");
            }
        }

        VerificationReport report = verify(ledger(lines(twice, reported("new", 1, 1), reported("changed", 2, 1))));

        assertThat(findings(report))
                .containsExactly(
                        "usage-2026-01-31-0001.jsonl, line 1: a request must be there once, but twice was there before,"
                                + " the same, in line 2 of usage-2026-01-30-0001.jsonl",
                        "usage-2026-01-31-0001.jsonl, line 3: a request must be there once, but changed was there before,"
                                + " and not the same, in line 3 of usage-2026-01-30-0001.jsonl");
    }

    @Test
    @DisplayName("comes to the same with few keys in memory at a time, and leaves no file behind")
    void fewKeys() throws IOException {
        List<RequestUsage> requests = new ArrayList<>();
        for (int i = 0; i < 5_000; i++) {
            requests.add(request("k-" + i).runId("run-" + i % 700).build());
        }
        Path ledger = ledger(lines(requests.toArray(RequestUsage[]::new)));
        Path spill = Files.createDirectory(folder.resolve("spill"));

        VerificationReport report = LedgerVerification.of(ledger)
                .withClock(CLOCK)
                .withMaxKeys(3)
                .withSpillDirectory(spill)
                .run();

        assertThat(report).isEqualTo(verify(ledger));
        assertThat(report.runs()).isEqualTo(700);
        assertThat(report.requests()).isEqualTo(5_000);
        assertThat(report.isSound()).isTrue();
        try (Stream<Path> files = Files.list(spill)) {
            assertThat(files).isEmpty();
        }
    }

    @Test
    @DisplayName("lists the first findings, and counts the rest")
    void limit() throws IOException {
        Path ledger = ledger("x\n".repeat(100));

        VerificationReport report =
                LedgerVerification.of(ledger).withLimit(2).withClock(CLOCK).run();

        assertThat(report.findings()).isEqualTo(100);
        assertThat(report.notListed()).isEqualTo(98);
        assertThat(report.listed()).extracting(VerificationReport.Finding::line).containsExactly(1L, 2L);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LedgerVerification.of(ledger).withLimit(-1));
    }

    @Test
    @DisplayName("fails where there is no ledger, and takes a single file for one")
    void files() throws IOException {
        assertThatThrownBy(() -> verify(folder.resolve("nowhere")))
                .isInstanceOf(LedgerException.class)
                .hasMessageContaining("nowhere");
        Path file = Files.writeString(folder.resolve("copy.jsonl"), lines(reported("a", 10, 5)));
        assertThat(verify(file).requests()).isEqualTo(1);
    }
}
