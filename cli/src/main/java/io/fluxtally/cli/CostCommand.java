package io.fluxtally.cli;

import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.LedgerView;
import io.fluxtally.ledger.cost.CostGrade;
import io.fluxtally.ledger.cost.CostSum;
import io.fluxtally.ledger.cost.PriceBook;
import io.fluxtally.ledger.cost.PriceBookException;
import java.io.PrintWriter;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ./fluxtally cost}: what the requests of a ledger cost by a price book. */
@Command(
        name = "cost",
        mixinStandardHelpOptions = true,
        description = {
            "Prices each request of a ledger by a price book of yours, and adds up. docs/prices.md says how to write one.",
            "Exit status: 0 when every cost is known, 1 when an amount is a lower bound, an estimate or between two, 2 for a",
            "price book or ledger that cannot be read."
        })
final class CostCommand implements Callable<Integer> {

    private static final String ROW = "  %10s %20s %20s  %-4s  %s%n";
    private static final String UNKNOWN = "-";

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private CommandSpec spec;

    @Parameters(paramLabel = "LEDGER", description = "The folder of a ledger, or a file of one.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path ledger;

    @Option(names = "--prices", paramLabel = "FILE", required = true, description = "The price book.")
    @SuppressWarnings("NullAway.Init") // picocli sets it
    private Path prices;

    @Option(
            names = "--by",
            paramLabel = "VIEW",
            description =
                    "What to add up by: run, conversation, user, tenant, model or day; ${DEFAULT-VALUE} unless given.",
            defaultValue = "model")
    private LedgerView view = LedgerView.MODEL;

    private CostCommand() {}

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        Map<String, CostSum> sums = new TreeMap<>();
        UnreadLines unread = new UnreadLines(err);
        try {
            PriceBook book = PriceBook.read(prices);
            LedgerReader.of(ledger)
                    .reportingTo(unread)
                    .forEach(request ->
                            sums.merge(view.keyOf(request), CostSum.EMPTY.plus(book.costOf(request)), CostSum::plus));
        } catch (PriceBookException | LedgerException wrong) {
            err.printf("fluxtally: %s%n", wrong.getMessage());
            return Fluxtally.BAD_INPUT;
        }
        CostSum total = sums.values().stream().reduce(CostSum.EMPTY, CostSum::plus);
        PrintWriter out = spec.commandLine().getOut();
        out.printf(ROW, "requests", "at least", "at most", "", view.name().toLowerCase(Locale.ROOT));
        sums.forEach((key, sum) -> print(out, key, sum));
        print(out, "total", total);
        out.flush();
        unread.tell("are in no amount");
        return total.isExact() && !unread.any() ? 0 : Fluxtally.FAILED;
    }

    private static void print(PrintWriter out, String key, CostSum sum) {
        String label = ReconcileReport.printable(key) + inexact(sum);
        Map<String, BigDecimal> atMost = sum.atMost();
        if (sum.atLeast().isEmpty()) {
            out.printf(ROW, sum.requests(), UNKNOWN, UNKNOWN, "", label);
        }
        sum.atLeast()
                .forEach((currency, amount) ->
                        out.printf(ROW, sum.requests(), plain(amount), plain(atMost.get(currency)), currency, label));
    }

    /** Why an amount is not what it costs. */
    private static String inexact(CostSum sum) {
        StringBuilder why = new StringBuilder();
        for (CostGrade grade : CostGrade.values()) {
            if (grade != CostGrade.EXACT && sum.count(grade) > 0) {
                why.append(why.isEmpty() ? " (" : ", ")
                        .append(grade)
                        .append(' ')
                        .append(sum.count(grade));
            }
        }
        return why.isEmpty() ? "" : why.append(')').toString();
    }

    private static String plain(@Nullable BigDecimal amount) {
        return amount == null ? UNKNOWN : amount.toPlainString();
    }
}
