package io.fluxtally.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.ledger.reconcile.BillField;
import io.fluxtally.ledger.reconcile.Figures;
import io.fluxtally.ledger.reconcile.LedgerVerification;
import io.fluxtally.ledger.reconcile.VerificationReport;
import io.fluxtally.usage.UsageSource;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally verify}: holds a ledger against itself. */
@Command(
        name = "verify",
        mixinStandardHelpOptions = true,
        description = {
            "Reads a ledger of files and checks that every line is a record, no key is there twice, parts do not exceed their",
            "totals, sources fit their figures, labels and times are possible, and that every run's total equals the sum of",
            "its requests field by field. A last line that a crash has cut is told, and no fault.",
            "Exit status: 0 when all is right, 1 when something is wrong, 2 when that cannot be told."
        })
final class VerifyCommand implements Callable<Integer> {

    private static final ObjectMapper JSON = new ObjectMapper();

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Parameters(arity = "1", paramLabel = "LEDGER", description = "The directory of a ledger, or a file of one.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path ledger;

    @Option(
            names = "--limit",
            paramLabel = "COUNT",
            defaultValue = "20",
            description = "List so many findings; ${DEFAULT-VALUE} unless given.")
    private int limit = LedgerVerification.LIMIT;

    @Option(
            names = "--temp",
            paramLabel = "DIRECTORY",
            description =
                    "Where files in between go, which are smaller than the ledger; the system's directory unless given.")
    private @Nullable Path temp;

    @Option(names = "--json", description = "Print one JSON object, and nothing else.")
    private boolean json;

    private VerifyCommand() {}

    @Override
    public Integer call() throws Exception {
        if (limit < 0) {
            throw new ParameterException(spec.commandLine(), "limit must not be negative, but is " + limit);
        }
        PrintWriter err = spec.commandLine().getErr();
        LedgerVerification verification =
                LedgerVerification.of(ledger).withLimit(limit).withProgress(new ProgressLines(err, System::nanoTime));
        VerificationReport report;
        try {
            report = (temp == null ? verification : verification.withSpillDirectory(temp)).run();
        } catch (RuntimeException unreadable) {
            // Whatever it is, that the ledger is not sound is not what it says.
            err.printf("fluxtally: %s%n", Fluxtally.firstLineOf(unreadable));
            return Fluxtally.BAD_INPUT;
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(JSON.writeValueAsString(toJson(report)));
        } else {
            print(report, out);
        }
        out.flush();
        return report.isSound() ? 0 : Fluxtally.FAILED;
    }

    private static Map<String, Object> toJson(VerificationReport report) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("sound", report.isSound());
        json.put("requests", report.requests());
        json.put("runs", report.runs());
        json.put("requests_outside_runs", report.outsideRuns());
        Map<String, Long> sources = new LinkedHashMap<>();
        for (UsageSource source : UsageSource.values()) {
            if (report.sources().containsKey(source)) {
                sources.put(source.name(), report.sources().get(source));
            }
        }
        json.put("sources", sources);
        json.put("total", ReconcileReport.figures(report.total()));
        json.put("of_runs", ReconcileReport.figures(report.ofRuns()));
        json.put("outside_runs", ReconcileReport.figures(report.ofOthers()));
        json.put("findings", report.findings());
        json.put("listed", report.listed().stream().map(VerifyCommand::finding).toList());
        json.put("not_listed", report.notListed());
        json.put(
                "torn",
                report.torn().stream()
                        .map(torn -> Map.of("file", torn.file().toString(), "line", torn.line()))
                        .toList());
        return json;
    }

    private static Map<String, Object> finding(VerificationReport.Finding finding) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("file", finding.file().toString());
        if (finding.line() > 0) {
            json.put("line", finding.line());
        }
        json.put("rule", finding.rule());
        json.put("value", finding.value());
        return json;
    }

    private static void print(VerificationReport report, PrintWriter out) {
        out.printf(
                Locale.ROOT,
                "%,d requests, in %,d runs and %,d outside%n%n",
                report.requests(),
                report.runs(),
                report.outsideRuns());
        List<BillField> shown = BillField.FIGURES.stream()
                .filter(field -> report.total().get(field).isPresent())
                .toList();
        if (!shown.isEmpty()) {
            List<String> heading = new ArrayList<>(List.of(""));
            shown.forEach(field -> heading.add(field.word()));
            TextTable.print(
                    out,
                    List.of(
                            heading,
                            row("runs", report.ofRuns(), shown),
                            row("outside runs", report.ofOthers(), shown),
                            row("ledger", report.total(), shown)));
            out.println();
        }
        report.torn().forEach(torn -> out.println("cut by a crash, no fault: " + torn));
        report.listed().forEach(out::println);
        if (report.notListed() > 0) {
            out.printf(Locale.ROOT, "... and %,d more%n", report.notListed());
        }
        out.println(report.isSound() ? "The ledger is sound." : "The ledger is not sound.");
    }

    private static List<String> row(String label, Figures figures, List<BillField> shown) {
        List<String> row = new ArrayList<>(List.of(label));
        for (BillField field : shown) {
            row.add(
                    figures.get(field).isPresent()
                            ? ReconcileReport.number(figures.get(field).getAsLong())
                            : "-");
        }
        return row;
    }
}
