package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;

@Label("a reader of a ledger")
class LedgerReaderTest {

    private Path directory;
    private final List<LedgerProblem> problems = new ArrayList<>();

    @BeforeTry
    void makeDirectory() throws IOException {
        directory = Files.createTempDirectory("ledger");
        problems.clear();
    }

    @AfterTry
    void removeDirectory() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            files.forEach(file -> file.toFile().delete());
        }
        Files.delete(directory);
    }

    private Path file(int number) {
        return directory.resolve("usage-2026-01-31-%04d.jsonl".formatted(number));
    }

    private void append(int number, String text) throws IOException {
        Files.writeString(file(number), text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static String line(RequestUsage record) {
        return LedgerRecord.write(record) + "\n";
    }

    private List<String> messages() {
        return problems.stream()
                .map(problem -> problem.toString().replace(directory.toString(), "DIR"))
                .toList();
    }

    @Provide
    Arbitrary<List<RequestUsage>> anyRecords() {
        return Records.any();
    }

    @Provide
    Arbitrary<List<RequestUsage>> fewRecords() {
        return Records.any(3);
    }

    @Property(tries = 3)
    @Label("reads every whole record of a file that is cut at any byte, and reports what is left of the next")
    void cutAtEveryByte(@ForAll("fewRecords") List<RequestUsage> records) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        List<Integer> ends = new ArrayList<>();
        for (RequestUsage record : records) {
            all.writeBytes(line(record).getBytes(StandardCharsets.US_ASCII));
            ends.add(all.size());
        }
        byte[] bytes = all.toByteArray();
        for (int end = 0; end <= bytes.length; end++) {
            Files.write(file(1), Arrays.copyOf(bytes, end));
            int cut = end;
            // A record without its line feed is whole.
            int whole = (int) ends.stream().filter(at -> at - 1 <= cut).count();
            boolean torn = end > 0 && !ends.contains(end) && !ends.contains(end + 1);
            problems.clear();

            assertThat(Records.read(directory, problems)).isEqualTo(records.subList(0, whole));
            if (torn) {
                assertThat(problems).singleElement().satisfies(problem -> {
                    assertThat(problem.kind()).isEqualTo(LedgerProblem.Kind.TORN);
                    assertThat(problem.line()).isEqualTo(whole + 1);
                });
            } else {
                assertThat(problems).isEmpty();
            }
        }
    }

    @Property(tries = 40)
    @Label("follows a ledger that is written byte by byte, and hands over each record once and whole")
    void tailsEveryByte(@ForAll("anyRecords") List<RequestUsage> records) throws IOException {
        LedgerTail tail = LedgerReader.of(directory).reportingTo(problems::add).tail();
        List<RequestUsage> seen = new ArrayList<>();
        for (int i = 0; i < records.size(); i++) {
            String line = line(records.get(i));
            int step = Math.max(1, line.length() / 5);
            for (int from = 0; from < line.length(); from += step) {
                append(1 + i / 3, line.substring(from, Math.min(from + step, line.length())));
                tail.poll(seen::add);
            }
            assertThat(seen).isEqualTo(records.subList(0, i + 1));
        }
        assertThat(tail.poll(seen::add)).isZero();
        assertThat(problems).isEmpty();
    }

    @Example
    @Label("follows a ledger past a line that a crash has cut")
    void tailsPastTorn() throws IOException {
        LedgerTail tail = LedgerReader.of(directory).reportingTo(problems::add).tail();
        List<RequestUsage> seen = new ArrayList<>();
        List<RequestUsage> records = Records.plain(3);
        append(1, line(records.get(0)) + "{\"v\":1,");
        assertThat(tail.poll(seen::add)).isEqualTo(1);
        append(2, line(records.get(1)));
        assertThat(tail.poll(seen::add)).isEqualTo(1);
        assertThat(messages())
                .containsExactly(
                        "DIR/usage-2026-01-31-0001.jsonl, line 2: the last line must end with a line feed, but 7 bytes of it are all there is");
        Files.delete(file(1));
        Files.delete(file(2));
        append(3, line(records.get(2)));
        assertThat(tail.poll(seen::add)).isEqualTo(1);
        assertThat(seen).isEqualTo(records);
    }

    @Example
    @Label("passes over lines that are no records, and says which and why without what is in them")
    void junk() throws IOException {
        List<RequestUsage> records = Records.plain(2);
        String good = LedgerRecord.write(records.get(0));
        append(1, line(records.get(0)));
        append(1, "my secret prompt\n");
        append(1, "[\"my secret\"]\n\n");
        append(1, "{\"request_id\":\"secret\"}\n");
        append(1, good.replace("\"v\":1", "\"v\":\"secret\"") + "\n");
        append(1, good.replace("\"v\":1", "\"v\":2") + "\n");
        append(1, good.replace("\"v\":1", "\"v\":0") + "\n");
        append(1, good.replace("\"v\":1", "\"v\":99999999999999999999999") + "\n");
        append(1, good.replace("\"REPORTED\"", "\"a secret\"") + "\n");
        append(1, good.replace("\"attempt\":1", "\"attempt\":-4") + "\n");
        append(1, good.replace("\"attempt\":1", "\"attempt\":[\"secret\"]") + "\n");
        append(1, good.replace("\"cache_read_input_tokens\":0", "\"cache_read_input_tokens\":101") + "\n");
        append(1, good.replace("request-0", "my secret!").replace("\"attempt\":1", "\"attempt\":null") + "\n");
        append(1, good + good + "\n");
        append(1, "secret".repeat(200_000) + "\n");
        append(1, "\u0000".repeat(100) + "\n");
        append(1, "{\"a\":".repeat(5000) + "\n");
        append(1, line(records.get(0)));
        append(1, line(records.get(1)));

        assertThat(Records.read(directory, problems)).isEqualTo(records);
        assertThat(messages()).hasSize(17).noneMatch(message -> message.contains("secret"));
        assertThat(messages().stream()
                        .map(message -> message.replaceAll("^DIR/usage-2026-01-31-0001.jsonl, line ", "")))
                .contains(
                        "2: must be a JSON object, but column 4 is not JSON",
                        "3: must be a JSON object, but is something else of 13 bytes",
                        "5: \"v\" must be 1, but is none",
                        "6: \"v\" must be 1, but is none",
                        "7: \"v\" must be 1, the latest version known here, but is 2",
                        "8: \"v\" must be 1, but is 0",
                        "9: \"v\" must be 1, but is 99999999999999999999999",
                        "10: \"source\" of a request must be one of [REPORTED, PARTIAL, ESTIMATED, MISSING], but is not so (request request-0)",
                        "11: attempt must be 1 or more, but is -4 (request request-0)",
                        "13: cacheReadInputTokens (101) is a part of inputTokens (100) and must not exceed it, but is not so (request request-0)",
                        "12: \"attempt\" of a request must be a whole number, but is not so (request request-0)",
                        "14: \"attempt\" of a request must be a whole number, but is not so",
                        "16: a record must have at most 1048576 bytes, but has 1200001",
                        "19: a request must be there once, but request-0 was there before");
        assertThat(problems)
                .filteredOn(problem -> problem.kind() == LedgerProblem.Kind.LATER_VERSION)
                .hasSize(1);
    }

    @Property(tries = 40)
    @Label("finds records by the provider's id, the last of an id first of all")
    void index(@ForAll("anyRecords") List<RequestUsage> records) throws IOException {
        for (int i = 0; i < records.size(); i++) {
            append(1 + i / 4, line(records.get(i)));
        }
        LedgerIndex index = LedgerReader.of(directory).indexByResponseId();
        for (RequestUsage record : records) {
            if (record.responseId() != null) {
                List<RequestUsage> same = records.stream()
                        .filter(other -> record.responseId().equals(other.responseId()))
                        .toList();
                assertThat(index.findAll(record.responseId())).isEqualTo(same);
                assertThat(index.find(record.responseId())).contains(same.get(same.size() - 1));
            }
        }
        assertThat(index.find("another")).isEmpty();
        assertThat(index.size())
                .isEqualTo(
                        records.stream().filter(it -> it.responseId() != null).count());
    }

    @Example
    @Label("finds each of many records")
    void largeIndex() throws IOException {
        StringBuilder lines = new StringBuilder();
        List<RequestUsage> records = Records.plain(5000);
        records.forEach(record -> lines.append(line(record)));
        append(1, lines.toString());
        LedgerIndex index = LedgerReader.of(file(1)).index(RequestUsage::requestId);
        assertThat(index.size()).isEqualTo(5000);
        for (RequestUsage record : records) {
            assertThat(index.find(record.requestId())).contains(record);
        }
    }

    @Example
    @Label("adds up what is asked for, by run, user, model, day and more, with what was not reported")
    void totals() throws IOException {
        List<RequestUsage> records = new ArrayList<>(Records.plain(100));
        records.add(RequestUsage.builder("missing", Records.START.plusSeconds(24 * 3600))
                .runId("run-1")
                .build());
        for (RequestUsage record : records) {
            append(1, line(record));
        }
        LedgerReader reader = LedgerReader.of(directory);
        UsageSum all = reader.total(LedgerQuery.ALL);
        assertThat(all.requests()).isEqualTo(101);
        assertThat(all.missing()).isEqualTo(1);
        assertThat(all.total().inputTokens()).isEqualTo(100 * 100 + 99 * 100 / 2);
        for (LedgerView view : LedgerView.values()) {
            Map<String, UsageSum> sums = reader.totalBy(view, LedgerQuery.ALL);
            assertThat(sums.values().stream().mapToLong(UsageSum::requests).sum())
                    .isEqualTo(101);
            assertThat(sums.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(all.total());
        }
        assertThat(reader.totalBy(LedgerView.DAY, LedgerQuery.ALL)).containsOnlyKeys("2026-01-31", "2026-02-01");
        assertThat(reader.totalBy(LedgerView.MODEL, LedgerQuery.ALL.run("run-1")))
                .containsOnlyKeys("even", "odd", "none");
        assertThat(reader.total(LedgerQuery.ALL.day(LocalDate.of(2026, 2, 1), ZoneOffset.UTC))
                        .requests())
                .isEqualTo(1);
        assertThat(reader.total(LedgerQuery.ALL.day(LocalDate.of(2026, 2, 1), ZoneId.of("Pacific/Kiritimati")))
                        .requests())
                .isEqualTo(100);
        assertThat(reader.total(LedgerQuery.ALL.user("user-1").model("odd").response("response-request-1"))
                        .total())
                .isEqualTo(records.get(1).usage());
        assertThat(records.get(1).source()).isEqualTo(UsageSource.REPORTED);
    }

    @Example
    @Label("says that there is no ledger")
    void nothing() {
        assertThat(Records.read(directory, problems)).isEmpty();
        assertThatThrownBy(() -> LedgerReader.of(directory.resolve("none")).forEach(record -> {}))
                .isInstanceOf(LedgerException.class)
                .hasMessage("a ledger must be a directory or a file, but %s is not there"
                        .formatted(directory.resolve("none")));
        assertThatThrownBy(() -> LedgerRecord.read("{\"v\":1}"))
                .isInstanceOf(LedgerException.class)
                .hasMessage("a record of the ledger: \"request_id\" of a request must be a text, but is not there");
    }
}
