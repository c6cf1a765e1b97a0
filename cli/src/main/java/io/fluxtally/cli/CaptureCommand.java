package io.fluxtally.cli;

import io.fluxtally.conformance.capture.Capture;
import io.fluxtally.conformance.proxy.PassThrough;
import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.LedgerCounters;
import io.fluxtally.ledger.LedgerFlush;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.UsageLedger;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally capture}: a proxy before a provider that writes what passing requests are billed to a ledger. */
@Command(
        name = "capture",
        mixinStandardHelpOptions = true,
        description = {
            "Stands between a process, such as an agent in any language, and its model provider, on this machine only, until it",
            "is ended with Ctrl-C, and writes what each request is billed to a ledger. Give the process the printed URL as its",
            "base URL; requests under URL/run/NAME belong to the run of that name.",
            "Everything passes unchanged, whatever becomes of the ledger. Nothing is written but figures, ids and names of models."
        })
final class CaptureCommand implements Callable<Integer> {

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Option(
            names = "--to",
            paramLabel = "BASE_URL",
            required = true,
            description = "The provider's base URL, as the process has it now.",
            converter = RecordCommand.UrlConverter.class)
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private URI to;

    @Option(names = "--port", paramLabel = "PORT", description = "The port to listen on; any free one unless given.")
    private int port;

    @Option(
            names = "--ledger",
            paramLabel = "DIR",
            required = true,
            description =
                    "The folder of the ledger; it is made if it is not there. One process at a time writes to it.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path ledgerFolder;

    @Option(
            names = "--run",
            paramLabel = "NAME",
            description = "The run of requests whose URL names none; captured- and the time unless given.")
    private @Nullable String run;

    private CaptureCommand() {}

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        String name = run == null
                ? "captured-" + ZonedDateTime.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss"))
                : run;
        try {
            PassThrough.checkedTarget(to);
            PassThrough.checkedPort(port);
            PassThrough.checkedName(name);
        } catch (IllegalArgumentException wrong) {
            throw new ParameterException(spec.commandLine(), wrong.getMessage());
        }
        UsageLedger ledger = openLedger();
        Capture capture;
        try {
            capture = Capture.builder(to, ledger)
                    .port(port)
                    .run(name)
                    .onProblem(problem -> err.printf("fluxtally: %s%n", problem))
                    .start();
        } catch (RuntimeException cannotListen) {
            ledger.close();
            throw cannotListen;
        }
        return untilEnded(capture, ledger);
    }

    private UsageLedger openLedger() {
        JsonlLedgerStore store = JsonlLedgerStore.open(ledgerFolder);
        try {
            return UsageLedger.open(store, LedgerOptions.spillingTo(spillFolder()));
        } catch (RuntimeException inUse) {
            store.close();
            throw inUse;
        }
    }

    private Path spillFolder() {
        return ledgerFolder.resolve("spill");
    }

    private int untilEnded(Capture capture, UsageLedger ledger) {
        // Ctrl-C ends the JVM, which runs this first.
        Thread ending = new Thread(() -> end(capture, ledger), "fluxtally-capture-end");
        Runtime.getRuntime().addShutdownHook(ending);
        PrintWriter screen = spec.commandLine().getOut();
        screen.printf("%s -> %s, into %s, until Ctrl-C%n", capture.baseUrl(), to, ledgerFolder);
        screen.flush();
        try {
            new CountDownLatch(1).await();
            return 0;
        } catch (InterruptedException ended) {
            Runtime.getRuntime().removeShutdownHook(ending);
            return end(capture, ledger) ? 0 : Fluxtally.FAILED;
        }
    }

    /** Returns whether all that passed is in the ledger. */
    private boolean end(Capture capture, UsageLedger ledger) {
        capture.close();
        LedgerFlush flush = ledger.close(PATIENCE);
        PrintWriter screen = spec.commandLine().getOut();
        screen.println();
        if (capture.runs().isEmpty()) {
            screen.println("no request to a model passed");
        } else {
            new UsageTable(screen).printRuns(capture.runs());
        }
        screen.flush();
        LedgerCounters counters = ledger.counters();
        PrintWriter err = spec.commandLine().getErr();
        if (flush.inSpill() > 0) {
            err.printf(
                    "fluxtally: %d records are not in the ledger yet, but in %s%n",
                    flush.inSpill(), "its spill folder");
        }
        long lost = capture.unbooked() + counters.droppedTotal() + flush.waiting();
        if (lost > 0) {
            err.printf("fluxtally: %d requests passed that are not in the ledger%n", lost);
        }
        if (capture.unread() > 0) {
            err.printf("fluxtally: %d answers passed unread%n", capture.unread());
        }
        err.flush();
        return lost == 0 && flush.inSpill() == 0;
    }
}
