package io.fluxtally.cli;

import io.fluxtally.conformance.record.RecordedFile;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Prints usage as tables for a terminal. */
final class UsageTable {

    private static final String ROW = "  %-22s %10s %10s %10s %10s   %s%n";

    private static final String NAMED_ROW = "  %10s %10s %10s %10s   %s%n";
    private static final String UNKNOWN = "-";

    private final PrintWriter out;

    UsageTable(PrintWriter out) {
        this.out = out;
    }

    /** One line for each request, in the order of the rounds, and one for their total. */
    void printRounds(RunUsage usage) {
        out.printf(ROW, "round", "input", "output", "cached", "reasoning", "source");
        for (RequestUsage request : usage.requests()) {
            String round = request.round() == null ? UNKNOWN : request.round().toString();
            String label = request.attempt() > 1 ? round + " (attempt " + request.attempt() + ")" : round;
            printRow(label, request.usage(), request.source().name());
        }
        UsageSum sum = usage.sum();
        printRow(
                "total",
                sum.total(),
                sum.isComplete() ? "complete" : "incomplete: " + sum.unreported() + " unreported");
    }

    /** The heading over {@link #printTotal}. */
    void printTotalHeading() {
        out.printf(ROW, "", "input", "output", "total", "", "");
    }

    /** A line with a bill's input, output and total; a dash where it states none. */
    void printBill(String label, Figures bill) {
        out.printf(
                ROW,
                label,
                number(bill.get(TokenKey.INPUT_TOKENS)),
                number(bill.get(TokenKey.OUTPUT_TOKENS)),
                number(bill.get(TokenKey.TOTAL_TOKENS)),
                "",
                "");
    }

    /** A line with what was counted; a dash where nothing was reported. */
    void printTotal(String label, UsageSum counted) {
        if (counted.isUnknown()) {
            out.printf(ROW, label, UNKNOWN, UNKNOWN, UNKNOWN, "", "");
        } else {
            TokenUsage total = counted.total();
            printTotal(label, total.inputTokens(), total.outputTokens(), total.totalTokens());
        }
    }

    /** A line with input, output and total. */
    void printTotal(String label, long input, long output, long total) {
        out.printf(ROW, label, number(input), number(output), number(total), "", "");
    }

    /** One line for each file that was recorded, its path at the end, where it may be long. */
    void printFiles(List<RecordedFile> files) {
        out.printf(NAMED_ROW, "requests", "input", "output", "total", "file");
        for (RecordedFile file : files) {
            UsageSum sum = file.usage();
            printNamed(sum, file.path() + (sum.isComplete() ? "" : " (incomplete)"));
        }
    }

    /** One line for each run, its name at the end, where it may be long. */
    void printRuns(Map<String, UsageSum> runs) {
        out.printf(NAMED_ROW, "requests", "input", "output", "total", "run");
        runs.forEach((name, sum) ->
                printNamed(sum, name + (sum.isComplete() ? "" : " (incomplete: " + sum.unreported() + " unreported)")));
    }

    private void printNamed(UsageSum sum, String name) {
        TokenUsage total = sum.total();
        boolean known = !sum.isUnknown();
        out.printf(
                NAMED_ROW,
                number(sum.requests()),
                known ? number(total.inputTokens()) : UNKNOWN,
                known ? number(total.outputTokens()) : UNKNOWN,
                known ? number(total.totalTokens()) : UNKNOWN,
                name);
    }

    private void printRow(String label, @Nullable TokenUsage usage, String source) {
        if (usage == null) {
            out.printf(ROW, label, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, source);
        } else {
            out.printf(
                    ROW,
                    label,
                    number(usage.inputTokens()),
                    number(usage.outputTokens()),
                    number(usage.cacheReadInputTokens()),
                    number(usage.reasoningOutputTokens()),
                    source);
        }
    }

    private static String number(OptionalLong tokens) {
        return tokens.isPresent() ? number(tokens.getAsLong()) : UNKNOWN;
    }

    private static String number(long tokens) {
        return String.format(Locale.ROOT, "%,d", tokens);
    }
}
