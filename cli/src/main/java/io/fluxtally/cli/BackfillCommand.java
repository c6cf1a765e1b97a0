package io.fluxtally.cli;

import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.intercept.Backfill;
import io.fluxtally.ledger.intercept.BackfillReport;
import io.fluxtally.ledger.intercept.InterceptLog;
import io.fluxtally.usage.RequestUsage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally backfill}: fills what the requests of a ledger lack from logs of coding agents' interceptors. */
@Command(
        name = "backfill",
        mixinStandardHelpOptions = true,
        description = {
            "Fills cached input and reasoning that the requests of a ledger lack from logs that interceptors of coding agents",
            "wrote, by the provider's id of the response, and names what differs. The ledger stays as it is: --out writes a",
            "filled copy.",
            "Exit status: 0 when ledger and logs then agree in every field, 1 when they do not, 2 for input that cannot be read."
        })
final class BackfillCommand implements Callable<Integer> {

    private static final int BATCH = 1_000;

    /** Of each kind of difference so many are printed one by one. */
    private static final int MOST_LINES = 100;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Parameters(paramLabel = "LEDGER", description = "The folder of a ledger, or a file of one.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path ledger;

    @Option(names = "--log", paramLabel = "FILE", required = true, description = "A log; may be given several times.")
    private List<Path> logs = List.of();

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "The folder for a filled copy of the ledger: a new or empty one.")
    private @Nullable Path out;

    private BackfillCommand() {}

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        try {
            Path folder = out;
            if (folder != null && !isEmpty(folder)) {
                throw new ParameterException(
                        spec.commandLine(), "--out must be a new or empty folder, but " + folder + " is not");
            }
            InterceptLog log = InterceptLog.read(logs, problem -> err.printf("fluxtally: %s%n", problem));
            Backfill backfill = Backfill.from(log);
            UnreadLines unread = new UnreadLines(err);
            if (folder == null) {
                read(unread, backfill::apply);
            } else {
                copy(unread, backfill, folder);
            }
            BackfillReport report = backfill.report();
            print(report);
            unread.tell("are passed over");
            return report.agrees() && !unread.any() ? 0 : Fluxtally.FAILED;
        } catch (IOException | LedgerException wrong) {
            err.printf("fluxtally: %s%n", wrong instanceof LedgerException ? wrong.getMessage() : wrong);
            return Fluxtally.BAD_INPUT;
        }
    }

    private static boolean isEmpty(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return true;
        }
        if (!Files.isDirectory(folder)) {
            return false;
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.findAny().isEmpty();
        }
    }

    private void read(UnreadLines unread, Consumer<RequestUsage> action) {
        LedgerReader.of(ledger).reportingTo(unread).forEach(action);
    }

    private void copy(UnreadLines unread, Backfill backfill, Path folder) {
        try (JsonlLedgerStore store = JsonlLedgerStore.open(folder)) {
            List<RequestUsage> batch = new ArrayList<>();
            read(unread, request -> {
                batch.add(backfill.apply(request));
                if (batch.size() == BATCH) {
                    store.append(batch);
                    batch.clear();
                }
            });
            store.append(batch);
            store.force();
        }
    }

    private void print(BackfillReport report) {
        PrintWriter screen = spec.commandLine().getOut();
        screen.printf(
                "%d requests, %d of them logged, %d figures filled in%n",
                report.requests(), report.matched(), report.filled().size());
        print(
                screen,
                report.differing(),
                "differs",
                it -> "%s of %s: booked %s, logged %d"
                        .formatted(
                                it.field(), it.responseId(), it.booked() == null ? "none" : it.booked(), it.logged()));
        print(screen, report.notLogged(), "not logged", id -> "request " + id);
        print(screen, report.notBooked(), "not booked", record -> "response " + record.id());
        print(
                screen,
                report.sums(),
                "sum differs",
                it -> "%s: booked %s, logged %s"
                        .formatted(
                                it.field(),
                                it.booked() == null ? "none" : it.booked(),
                                it.logged() == null ? "none" : it.logged()));
        screen.flush();
    }

    private static <T> void print(PrintWriter screen, List<T> all, String kind, Function<T, String> text) {
        all.stream()
                .limit(MOST_LINES)
                .forEach(one -> screen.printf("  %-12s %s%n", kind, ReconcileReport.printable(text.apply(one))));
        if (all.size() > MOST_LINES) {
            screen.printf("  %-12s and %d more%n", kind, all.size() - MOST_LINES);
        }
    }
}
