package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("./fluxtally cost and backfill")
class CostAndBackfillCommandTest {

    private static final Path EXAMPLE = Path.of("../docs/price-book-example.yaml");

    @TempDir
    private Path folder;

    private Path ledger;
    private Path log;

    private static RequestUsage request(String id, String model, TokenUsage usage) {
        return RequestUsage.builder("r-" + id, Instant.parse("2026-06-01T12:00:00Z"))
                .runId("run")
                .responseId(id)
                .provider("dashscope")
                .requestModel(model)
                .usage(usage, UsageSource.REPORTED)
                .build();
    }

    @BeforeEach
    void write() throws Exception {
        ledger = folder.resolve("ledger");
        log = Files.writeString(folder.resolve("log.jsonl"), """
                {"type":"system_prompt","content":"secret"}
                {"type":"token","id":"c-1","prompt_tokens":130000,"cached_tokens":0,"completion_tokens":0,"reasoning_tokens":0,"total_tokens":130000}
                {"type":"token","id":"c-2","prompt_tokens":1000,"cached_tokens":500,"completion_tokens":100,"reasoning_tokens":0,"total_tokens":1100}
                """);
        try (JsonlLedgerStore store = JsonlLedgerStore.open(ledger)) {
            store.append(List.of(
                    request("c-1", "qwen-plus", TokenUsage.of(130_000, 0)),
                    request("c-2", "qwen-plus", TokenUsage.of(1_000, 100))));
        }
    }

    private static List<List<String>> rows(CommandRun run) {
        return run.out()
                .lines()
                .map(line -> List.of(line.strip().split(" {2,}")))
                .toList();
    }

    @Test
    @DisplayName("give two amounts for requests that lack their parts, and one when a log has filled them in")
    void filledInAndPriced() {
        Path filled = folder.resolve("filled");

        CommandRun before = CommandRun.of("cost", ledger.toString(), "--prices", EXAMPLE.toString());
        CommandRun backfill =
                CommandRun.of("backfill", ledger.toString(), "--log", log.toString(), "--out", filled.toString());
        CommandRun after = CommandRun.of("cost", filled.toString(), "--prices", EXAMPLE.toString(), "--by", "run");

        assertThat(rows(before)).contains(List.of("2", "0.06276", "0.3136", "CNY", "qwen-plus (BOUNDED 2)"));
        assertThat(before.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(backfill.err()).isEmpty();
        assertThat(backfill.out()).isEqualTo("2 requests, 2 of them logged, 4 figures filled in\n");
        assertThat(backfill.status()).isZero();
        // 130,000 x 2.4 + 500 x 0.8 + 500 x 0.16 + 100 x 2
        assertThat(rows(after))
                .contains(
                        List.of("2", "0.31268", "0.31268", "CNY", "run"),
                        List.of("2", "0.31268", "0.31268", "CNY", "total"));
        assertThat(after.status()).isZero();
        List<RequestUsage> records = new ArrayList<>();
        LedgerReader.of(filled).forEach(records::add);
        assertThat(records)
                .extracting(request ->
                        request.usage().part(TokenPart.CACHE_READ_INPUT).getAsLong())
                .containsExactly(0L, 500L);
    }

    @Test
    @DisplayName("print nothing out of a file that a terminal would act upon")
    void controlCharacters() throws Exception {
        Files.writeString(log, "{\"type\":\"token\",\"id\":\"c-\\u001b[2J\",\"prompt_tokens\":1}\n");
        try (JsonlLedgerStore store = JsonlLedgerStore.open(ledger)) {
            store.append(List.of(request("c-3", "model\u001b[2J", TokenUsage.of(1, 1))));
        }

        CommandRun backfill = CommandRun.of("backfill", ledger.toString(), "--log", log.toString());
        CommandRun cost = CommandRun.of("cost", ledger.toString(), "--prices", EXAMPLE.toString());

        assertThat(backfill.out()).contains("response c-?[2J").doesNotContain("\u001b");
        assertThat(cost.out()).contains("model?[2J").doesNotContain("\u001b");
    }

    @Test
    @DisplayName("name what has no price, what differs and what is on one side only")
    void differences() throws Exception {
        Files.writeString(
                log,
                "{\"type\":\"token\",\"id\":\"c-2\",\"prompt_tokens\":999}\njunk secret\n"
                        + "{\"type\":\"token\",\"id\":\"c-9\",\"prompt_tokens\":1}\n");
        try (JsonlLedgerStore store = JsonlLedgerStore.open(ledger)) {
            store.append(List.of(request("c-3", "unheard-of", TokenUsage.of(1, 1))));
        }

        CommandRun backfill = CommandRun.of("backfill", ledger.toString(), "--log", log.toString());
        CommandRun cost = CommandRun.of("cost", ledger.toString(), "--prices", EXAMPLE.toString());

        assertThat(backfill.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(rows(backfill))
                .contains(
                        List.of("differs", "input_tokens of c-2: booked 1000, logged 999"),
                        List.of("not logged", "request r-c-1"),
                        List.of("not booked", "response c-9"),
                        List.of("sum differs", "input_tokens: booked 131001, logged 1000"));
        assertThat(backfill.err()).isEqualTo("fluxtally: " + log + ":2: a line must be a JSON object\n");
        assertThat(cost.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(rows(cost))
                .contains(
                        List.of("1", "-", "-", "unheard-of (NO_PRICE 1)"),
                        List.of("3", "0.06276", "-", "CNY", "total (BOUNDED 2, NO_PRICE 1)"));
    }

    @Test
    @DisplayName(
            "do not say that all is well of a ledger with a line that they cannot read, but of one that a crash has cut")
    void unreadableLine() throws Exception {
        Path filled = folder.resolve("filled");
        CommandRun.of("backfill", ledger.toString(), "--log", log.toString(), "--out", filled.toString());
        Path file;
        try (Stream<Path> files = Files.list(filled)) {
            file = files.filter(path -> path.toString().endsWith(".jsonl"))
                    .findFirst()
                    .orElseThrow();
        }
        Files.writeString(file, "{\"v\":1,\"requ", StandardOpenOption.APPEND);

        CommandRun cut = CommandRun.of("cost", filled.toString(), "--prices", EXAMPLE.toString());
        CommandRun cutFilled = CommandRun.of("backfill", filled.toString(), "--log", log.toString());
        assertThat(cut.status()).isZero();
        assertThat(cutFilled.status()).isZero();

        Files.writeString(file, "\n", StandardOpenOption.APPEND);
        CommandRun cost = CommandRun.of("cost", filled.toString(), "--prices", EXAMPLE.toString());
        CommandRun backfill = CommandRun.of("backfill", filled.toString(), "--log", log.toString());
        assertThat(cost.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(cost.err()).endsWith("fluxtally: 1 lines of the ledger are in no amount\n");
        assertThat(backfill.status()).isEqualTo(Fluxtally.FAILED);
        assertThat(backfill.err()).endsWith("fluxtally: 1 lines of the ledger are passed over\n");
    }

    @Test
    @DisplayName("say in one line what they cannot read, and write over nothing")
    void badInput() throws Exception {
        Path prices = Files.writeString(folder.resolve("prices.yaml"), "prices:\n  - model: m\n");
        String none = folder.resolve("none").toString();

        assertThat(CommandRun.of("cost", ledger.toString(), "--prices", prices.toString()))
                .isEqualTo(new CommandRun(
                        2, "", "fluxtally: " + prices + ":2: prices[0].per must be given, but is missing\n"));
        for (List<String> args : List.of(
                List.of("cost", none, "--prices", EXAMPLE.toString()),
                List.of("backfill", none, "--log", log.toString()),
                List.of("backfill", ledger.toString(), "--log", none),
                List.of("backfill", ledger.toString(), "--log", log.toString(), "--out", ledger.toString()))) {
            CommandRun run = CommandRun.of(args.toArray(String[]::new));

            assertThat(run.status()).isEqualTo(2);
            assertThat(run.out()).isEmpty();
            assertThat(run.err().lines()).hasSize(1);
        }
    }
}
