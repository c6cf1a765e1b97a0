package io.fluxtally.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.ledger.LedgerProblem;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.reconcile.BillField;
import io.fluxtally.ledger.reconcile.BillFormat;
import io.fluxtally.ledger.reconcile.Reconciliation;
import io.fluxtally.ledger.reconcile.ReconciliationReport;
import io.fluxtally.ledger.reconcile.TimeBucket;
import io.fluxtally.usage.RequestUsage;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally reconcile}: holds a ledger against the provider's bill. */
@Command(
        name = "reconcile",
        mixinStandardHelpOptions = true,
        description = {
            "Holds a ledger against the provider's bill, and prints what is billed and not booked, booked and not billed,",
            "and which figures differ. Lines with a request id are matched by it, others by model and bucket of time.",
            "Exit status: 0 when they agree, 1 when they differ, 2 when that cannot be told."
        })
final class ReconcileCommand implements Callable<Integer> {

    private static final ObjectMapper JSON = new ObjectMapper();

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(
            names = "--ledger",
            arity = "1..*",
            required = true,
            paramLabel = "PATH",
            description = "Directories of ledgers, or files of them. A request that is in several is taken once.")
    private List<Path> ledgers = List.of();

    @Option(
            names = "--bill",
            arity = "1..*",
            required = true,
            paramLabel = "FILE",
            description = "The bill as CSV, in one file or several of the same columns.")
    private List<Path> bills = List.of();

    /** The bills whose columns are known. */
    enum Preset {
        plain,
        bailian,
        openai;

        BillFormat format() {
            return switch (this) {
                case plain -> BillFormat.plain();
                case bailian -> BillFormat.bailian();
                case openai -> BillFormat.openAi();
            };
        }
    }

    @Option(
            names = "--preset",
            paramLabel = "NAME",
            defaultValue = "plain",
            description =
                    "Whose bill it is: ${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} unless given. Every other option changes"
                            + " it. plain: response_id, model, time, input_tokens, output_tokens, and so on. bailian: Alibaba Cloud's"
                            + " bill details for Model Studio. openai: OpenAI's usage export.")
    private Preset preset = Preset.plain;

    @Option(
            names = "--column",
            paramLabel = "FIELD=COLUMN",
            description = "The column of a field: id, model, time, requests, input, output, total, cache_read_input,"
                    + " cache_creation_input, reasoning_output, text_input, and so on; or kind, quantity and unit, where a line"
                    + " has one figure and says which. Several for one field are added up; FIELD= drops it. COLUMN[3] is the third"
                    + " of the parts of its cells between semicolons.")
    private List<String> columns = List.of();

    @Option(
            names = "--kind",
            paramLabel = "KIND=FIELD[+FIELD]",
            description = "Which figures a kind of line states; KIND= passes over such lines.")
    private List<String> kinds = List.of();

    @Option(
            names = "--only",
            paramLabel = "COLUMN=VALUE",
            description = "Only lines with this value; given several times for a column, with one of them.")
    private List<String> only = List.of();

    @Option(
            names = "--model",
            paramLabel = "BILLED=BOOKED",
            description = "A model that the bill calls otherwise than the ledger does.")
    private List<String> models = List.of();

    @Option(names = "--unit", paramLabel = "TOKENS", description = "Counts of tokens are in so many, such as 1000.")
    private @Nullable Long unit;

    @Option(
            names = "--delimiter",
            paramLabel = "CHARACTER",
            description = "What parts the cells: one character, or tab; found out unless given.")
    private @Nullable String delimiter;

    @Option(names = "--charset", paramLabel = "NAME", description = "The bill's character set; UTF-8 unless given.")
    private @Nullable String charset;

    @Option(
            names = "--bucket",
            paramLabel = "TIME",
            description = "The buckets of time: 15m, 1h, 1d; of the preset unless given.")
    private @Nullable String bucket;

    @Option(
            names = "--zone",
            paramLabel = "ZONE",
            description = "The time zone of buckets, and of times without one; of the preset unless given.")
    private @Nullable String zone;

    /** Which time of a request counts. */
    enum Moment {
        start,
        end
    }

    @Option(
            names = "--at",
            paramLabel = "MOMENT",
            description = "Which time of a request counts: ${COMPLETION-CANDIDATES}; of the preset unless given.")
    private @Nullable Moment at;

    @Option(
            names = "--from",
            paramLabel = "TIME",
            description = "Only what is not before this time, such as 2026-01-31.")
    private @Nullable String from;

    @Option(names = "--to", paramLabel = "TIME", description = "Only what is before this time.")
    private @Nullable String to;

    @Option(
            names = "--provider",
            paramLabel = "NAME",
            description = "Only requests booked for this provider, such as dashscope or openai.")
    private @Nullable String provider;

    @Option(
            names = "--limit",
            paramLabel = "COUNT",
            defaultValue = "20",
            description = "List so many differences of each sort; ${DEFAULT-VALUE} unless given.")
    private int limit = Reconciliation.LIMIT;

    @Option(
            names = "--temp",
            paramLabel = "DIRECTORY",
            description =
                    "Where files in between go, about as large as bill and ledger; the system's directory unless given.")
    private @Nullable Path temp;

    @Option(names = "--json", description = "Print one JSON object, and nothing else.")
    private boolean json;

    private ReconcileCommand() {}

    /** A ledger that has a line which is no record. */
    private static final class BadLedgerException extends RuntimeException {

        private static final long serialVersionUID = 1L;

        BadLedgerException(LedgerProblem problem) {
            super(problem.toString());
        }
    }

    @Override
    public Integer call() throws Exception {
        PrintWriter err = spec.commandLine().getErr();
        BillFormat format = format();
        Reconciliation reconciliation = reconciliation(format);
        long[] repeated = {0};
        try {
            ReconciliationReport report = reconciliation.run(
                    action -> ledgers.forEach(path -> LedgerReader.of(path)
                            .reportingTo(problem -> onProblem(problem, repeated))
                            .forEach(action)),
                    bills);
            ReconcileReport printed = new ReconcileReport(report, repeated[0]);
            PrintWriter out = spec.commandLine().getOut();
            if (json) {
                out.println(JSON.writeValueAsString(printed.toJson()));
            } else {
                printed.print(out);
            }
            out.flush();
            return report.isEqual() ? 0 : Fluxtally.FAILED;
        } catch (RuntimeException bad) {
            // Whatever it is, that bill and ledger differ is not what it says.
            err.printf("fluxtally: %s%n", Fluxtally.firstLineOf(bad));
            return Fluxtally.BAD_INPUT;
        }
    }

    private void onProblem(LedgerProblem problem, long[] repeated) {
        switch (problem.kind()) {
            case DUPLICATE -> repeated[0]++;
            case TORN -> spec.commandLine().getErr().printf("fluxtally: passed over: %s%n", problem);
            // A record that cannot be read may be a request that was billed.
            default -> throw new BadLedgerException(problem);
        }
    }

    private Reconciliation reconciliation(BillFormat format) {
        Reconciliation reconciliation = checked(() -> Reconciliation.of(format)
                .withLimit(limit)
                .withTimes(time("--from", from, format.zone()), time("--to", to, format.zone()))
                .withProgress(new ProgressLines(spec.commandLine().getErr(), System::nanoTime)));
        if (provider != null) {
            String name = provider;
            reconciliation = reconciliation.withOnly((RequestUsage request) -> name.equals(request.provider()));
        }
        return temp == null ? reconciliation : reconciliation.withSpillDirectory(temp);
    }

    private BillFormat format() {
        BillFormat format = preset.format();
        Map<BillField, List<String>> byField = new EnumMap<>(BillField.class);
        for (String column : columns) {
            String[] parts = pair("--column", column);
            List<String> names = byField.computeIfAbsent(field("--column", parts[0]), field -> new ArrayList<>());
            if (!parts[1].isEmpty()) {
                names.add(parts[1]);
            }
        }
        for (Map.Entry<BillField, List<String>> entry : byField.entrySet()) {
            BillFormat before = format;
            format = checked(() -> before.withColumns(entry.getKey(), entry.getValue()));
        }
        for (String kind : kinds) {
            String[] parts = pair("--kind", kind);
            Set<BillField> figures = new LinkedHashSet<>();
            if (!parts[1].isEmpty()) {
                for (String word : parts[1].split("\\+", -1)) {
                    figures.add(field("--kind", word));
                }
            }
            BillFormat before = format;
            format = checked(() -> before.withKind(parts[0], figures));
        }
        for (String line : only) {
            String[] parts = pair("--only", line);
            format = format.withOnly(parts[0], parts[1]);
        }
        for (String model : models) {
            String[] parts = pair("--model", model);
            format = format.withModel(parts[0], parts[1]);
        }
        return withForm(format);
    }

    private BillFormat withForm(BillFormat given) {
        BillFormat[] format = {given};
        set(unit, value -> format[0] = checked(() -> format[0].withUnit(value)));
        set(delimiter, value -> format[0] = format[0].withDelimiter(character(value)));
        set(charset, value -> format[0] = format[0].withCharset(checked(() -> Charset.forName(value))));
        set(bucket, value -> format[0] = format[0].withBucket(checked(() -> TimeBucket.of(value))));
        set(zone, value -> format[0] = format[0].withZone(checked(() -> ZoneId.of(value))));
        set(at, value -> format[0] = format[0].withBooksAtEnd(value == Moment.end));
        return format[0];
    }

    private static <T> void set(@Nullable T value, Consumer<T> setter) {
        if (value != null) {
            setter.accept(value);
        }
    }

    private char character(String text) {
        String value = text.equals("tab") || text.equals("\\t") ? "\t" : text;
        if (value.length() != 1) {
            throw wrong("--delimiter must be one character, or tab, but is \"%s\"".formatted(text));
        }
        return value.charAt(0);
    }

    private @Nullable Instant time(String option, @Nullable String text, ZoneId in) {
        if (text == null) {
            return null;
        }
        try {
            return BillFormat.timeOf(text, in);
        } catch (DateTimeException none) {
            throw wrong("%s must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z, but is \"%s\""
                    .formatted(option, text));
        }
    }

    private String[] pair(String option, String text) {
        int at = text.indexOf('=');
        if (at < 1) {
            throw wrong("%s must be a name, = and a value, but is \"%s\"".formatted(option, text));
        }
        return new String[] {text.substring(0, at), text.substring(at + 1)};
    }

    private BillField field(String option, String word) {
        BillField field = BillField.ofWord(word);
        if (field == null) {
            throw wrong("%s must name one of %s, but names \"%s\""
                    .formatted(option, String.join(", ", BillField.words()), word));
        }
        return field;
    }

    /** What the arguments come to, with a wrong one told as such. */
    private <T> T checked(Callable<T> work) {
        try {
            return work.call();
        } catch (ParameterException told) {
            throw told;
        } catch (Exception wrong) {
            throw wrong(String.valueOf(wrong.getMessage()));
        }
    }

    private ParameterException wrong(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
