package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

@DisplayName("./fluxtally reconcile")
class ReconcileCommandTest {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Instant NOON = Instant.parse("2026-01-31T12:00:00Z");

    @TempDir
    private Path folder;

    private Path ledger;
    private Path bill;

    @BeforeEach
    void write() throws IOException {
        ledger = Files.createDirectory(folder.resolve("ledger"));
        bill = folder.resolve("bill.csv");
        book(
                request("a", "openai")
                        .usage(TokenUsage.of(1000, 20), UsageSource.REPORTED)
                        .build(),
                request("b", "openai")
                        .usage(TokenUsage.of(500, 10), UsageSource.PARTIAL)
                        .build());
    }

    private static RequestUsage.Builder request(String id, String provider) {
        return RequestUsage.builder(id, NOON)
                .responseId("r-" + id)
                .provider(provider)
                .requestModel("m");
    }

    private void book(RequestUsage... requests) throws IOException {
        Files.write(
                ledger.resolve("usage-2026-01-31-0001.jsonl"),
                Stream.of(requests).map(LedgerRecord::write).toList());
    }

    private CommandRun reconcile(String text, String... options) throws IOException {
        Files.writeString(bill, text);
        return run(options);
    }

    private CommandRun run(String... options) {
        List<String> args =
                new ArrayList<>(List.of("reconcile", "--ledger", ledger.toString(), "--bill", bill.toString()));
        args.addAll(List.of(options));
        return CommandRun.of(args.toArray(String[]::new));
    }

    @Test
    @DisplayName("ends with 0 and says so where ledger and bill are equal")
    void equal() throws IOException {
        CommandRun run = reconcile("id,input,output\nr-a,1000,20\nr-b,500,10\n");

        assertThat(run.err()).isEmpty();
        assertThat(run.status()).isZero();
        assertThat(run.out()).endsWith("Ledger and bill are equal.%n".formatted());
    }

    @Test
    @DisplayName("ends with 1 and one JSON object, with what differs and what the totals are")
    void json() throws IOException {
        CommandRun run = reconcile("id,input,output\nr-b,500,30\nr-x,7,1\n", "--json");

        assertThat(run.err()).isEmpty();
        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out().lines()).hasSize(1);
        JsonNode json = JSON.readTree(run.out());
        assertThat(json.fieldNames())
                .toIterable()
                .containsExactly(
                        "equal",
                        "billed",
                        "booked",
                        "matches_equal",
                        "billed_not_booked",
                        "booked_not_billed",
                        "differing");
        assertThat(json.get("equal").asBoolean()).isFalse();
        assertThat(json.at("/billed/lines_by_id").asLong()).isEqualTo(2);
        assertThat(json.at("/billed/figures/input_tokens").asLong()).isEqualTo(507);
        assertThat(json.at("/booked/requests").asLong()).isEqualTo(2);
        assertThat(json.at("/booked/figures/total_tokens").asLong()).isEqualTo(1530);
        assertThat(json.at("/booked/sources/PARTIAL").asLong()).isEqualTo(1);
        assertThat(json.at("/billed_not_booked/listed/0/response_id").asText()).isEqualTo("r-x");
        assertThat(json.at("/billed_not_booked/listed/0/billed/line").asLong()).isEqualTo(3);
        assertThat(json.at("/billed_not_booked/listed/0/billed/file").asText()).isEqualTo(bill.toString());
        assertThat(json.at("/booked_not_billed/listed/0/booked/request_id").asText())
                .isEqualTo("a");
        assertThat(json.at("/booked_not_billed/booked/input_tokens").asLong()).isEqualTo(1000);
        assertThat(json.at("/differing/count").asLong()).isEqualTo(1);
        assertThat(json.at("/differing/listed/0/fields/0").asText()).isEqualTo("output_tokens");
        assertThat(json.at("/differing/listed/0/because").asText()).isEqualTo("BOOKED_IS_A_LOWER_BOUND");
        assertThat(json.at("/differing/listed/0/billed/figures/output_tokens").asLong())
                .isEqualTo(30);
        assertThat(json.at("/differing/listed/0/booked/figures/output_tokens").asLong())
                .isEqualTo(10);
    }

    @Test
    @DisplayName("shows people what differs, why as far as is known, and how much is not listed")
    void text() throws IOException {
        CommandRun run = reconcile("id,input,output\nr-b,500,30\nr-x,7,1\nr-y,7,1\n", "--limit", "1");

        assertThat(run.status()).isEqualTo(1);
        assertThat(run.out().lines().map(line -> line.replaceAll(" +", " ")))
                .contains(
                        "bill: 3 lines matched by id, 0 by model and time, 0 passed over",
                        "ledger: 2 requests (1 PARTIAL), 0 repeated, 0 passed over, 0 used nothing and are not on the bill",
                        " billed 514 32",
                        " booked 1,500 30",
                        " billed and not booked 2 14 2",
                        " bill.csv, line 3: r-x: input_tokens 7, output_tokens 1",
                        " ... and 1 more",
                        " r-a, m, request a: input_tokens 1,000, output_tokens 20, total_tokens 1,020",
                        " bill.csv, line 2: r-b: output_tokens 30 billed, 10 booked (1 PARTIAL): the booked figure is a lower bound",
                        "Ledger and bill differ.");
    }

    @Test
    @DisplayName("takes columns, units, character set, delimiter, kinds, times and models as they are said")
    void options() throws IOException {
        book(
                request("a", "dashscope")
                        .usage(TokenUsage.of(1500, 0), UsageSource.REPORTED)
                        .build(),
                request("b", "openai")
                        .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                        .build(),
                RequestUsage.builder("old", NOON.minusSeconds(86_400))
                        .provider("dashscope")
                        .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                        .build());
        Files.write(
                bill,
                ("产品;模型;何时;类型;数量;无\n百炼;M/1;2026-01-31 20:00;in;1.2;\n百炼;M/1;2026-01-31 20:59;cached;0.3;\n"
                                + "百炼;M/1;2026-01-31 20:59;calls;1;\n存储;x;y;z;w;\n")
                        .getBytes(Charset.forName("GBK")));

        CommandRun run = run(
                "--charset=GBK",
                "--delimiter=;",
                "--zone=Asia/Shanghai",
                "--bucket=1h",
                "--at=start",
                "--unit=1000",
                "--provider=dashscope",
                "--from=2026-01-31",
                "--to=2026-02-01T00:00:00+08:00",
                "--only=产品=百炼",
                "--model=M/1=m",
                "--column=model=模型",
                "--column=time=何时",
                "--column=kind=类型",
                "--column=quantity=数量",
                "--column=id=",
                "--kind=in=input",
                "--kind=cached=input",
                "--kind=calls=");

        assertThat(run.err()).isEmpty();
        assertThat(run.out()).contains("Ledger and bill are equal.");
        assertThat(run.status()).isZero();
    }

    @Test
    @DisplayName("knows the bills of Alibaba Cloud and of OpenAI, column by column to be said otherwise")
    void presets() throws IOException {
        assertThat(reconcile(
                                "start_time,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens\n"
                                        + "1769817600,2,m,1500,30,0\n",
                                "--preset=openai")
                        .status())
                .isZero();
        assertThat(reconcile(
                                "Instance ID,BillingDate,Usage,Unit of usage\n1;ws;m;input_token;app,2026-01-31,1.5,1K tokens\n"
                                        + "1;ws;m;output_token;app,2026-01-31,0.03,1K tokens\n",
                                "--preset=bailian",
                                "--column=unit=Unit of usage")
                        .status())
                .isZero();
    }

    @Test
    @DisplayName("takes several ledgers, and a request once that is in more than one of them")
    void severalLedgers() throws IOException {
        Path copy = Files.copy(ledger.resolve("usage-2026-01-31-0001.jsonl"), folder.resolve("copy.jsonl"));
        Files.writeString(bill, "id,input\nr-a,1000\nr-b,500\n");

        CommandRun run = CommandRun.of(
                "reconcile", "--ledger", ledger.toString(), copy.toString(), "--bill", bill.toString(), "--json");

        assertThat(run.status()).isZero();
        assertThat(JSON.readTree(run.out()).at("/booked/repeated").asLong()).isEqualTo(2);
    }

    @Test
    @DisplayName("passes over a last line that a crash has cut, and says so")
    void torn() throws IOException {
        Path file = ledger.resolve("usage-2026-01-31-0001.jsonl");
        Files.writeString(file, Files.readString(file) + "{\"v\":1,");

        CommandRun run = reconcile("id,input\nr-a,1000\nr-b,500\n");

        assertThat(run.status()).isZero();
        assertThat(run.err()).startsWith("fluxtally: passed over: " + file + ", line 3: ");
    }

    @Test
    @DisplayName("ends with 2 for a ledger that has a line which is no record, since that may be a request")
    void badLedger() throws IOException {
        Path file = ledger.resolve("usage-2026-01-31-0001.jsonl");
        Files.writeString(file, "junk\n" + Files.readString(file));

        assertRefused(reconcile("id,input\nr-a,1000\n"), file + ", line 1: must be a JSON object, but ");
    }

    @Test
    @DisplayName("ends with 2 for a bill that is not in the format, naming file, line, column, rule and value")
    void badBill() throws IOException {
        assertRefused(
                reconcile("id,input\nr-a,1000\nr-b,many\n"),
                bill + ", line 3, column \"input\": must be a number of digits, not negative, but is \"many\"");
    }

    static Stream<Arguments> wrongOptions() {
        return Stream.of(
                option("--preset=gemini", "Invalid value for option '--preset'"),
                option("--column=input", "--column must be a name, = and a value, but is \"input\""),
                option("--column=cost=x", "--column must name one of id, model, time, "),
                option("--kind=x=cost", "--kind must name one of id, model, "),
                option("--kind=x=model", "the kind \"x\" must be figures, but has model"),
                option("--only=x", "--only must be a name, = and a value, but is \"x\""),
                option("--model=x", "--model must be a name, = and a value, but is \"x\""),
                option("--unit=0", "unit must be 1 or more tokens, but is 0"),
                option("--delimiter=ab", "--delimiter must be one character, or tab, but is \"ab\""),
                option("--charset=nothing", "nothing"),
                option("--bucket=week", "bucket must be a number and one of s, m, h, d, such as 1h, but is \"week\""),
                option("--zone=Mars/Base", "Mars/Base"),
                option("--at=noon", "Invalid value for option '--at'"),
                option("--from=yesterday", "--from must be a time such as "),
                option("--limit=-1", "limit must not be negative, but is -1"),
                option("--temp=/nowhere/at/all", ""));
    }

    private static Arguments option(String option, String complaint) {
        return Arguments.of(option, complaint);
    }

    @ParameterizedTest
    @MethodSource("wrongOptions")
    @DisplayName("ends with 2 for options that are none")
    void wrongOption(String option, String complaint) throws IOException {
        if (option.startsWith("--temp")) {
            // Only a long bill needs the directory.
            assertRefused(reconcile("id,input\n" + "r-a,1\n".repeat(10_000), option), "/nowhere/at/all");
        } else {
            assertRefused(reconcile("id,input\nr-a,1000\n", option), complaint);
        }
    }

    @Test
    @DisplayName("ends with 2 where ledger or bill is not there, or not said")
    void nothing() throws IOException {
        Files.writeString(bill, "id,input\n");
        assertRefused(CommandRun.of("reconcile", "--bill", bill.toString()), "Missing required option: '--ledger");
        assertRefused(CommandRun.of("reconcile", "--ledger", ledger.toString()), "Missing required option: '--bill");
        assertRefused(CommandRun.of("reconcile", "--ledger", "nowhere", "--bill", bill.toString()), "nowhere");
        Files.delete(bill);
        assertRefused(run(), "bill.csv: must be a readable file, but failed with: ");
    }

    private static void assertRefused(CommandRun run, String complaint) {
        assertThat(run.status()).isEqualTo(2);
        assertThat(run.out()).isEmpty();
        assertThat(run.err().lines())
                .singleElement()
                .asString()
                .startsWith("fluxtally: ")
                .contains(complaint);
    }
}
