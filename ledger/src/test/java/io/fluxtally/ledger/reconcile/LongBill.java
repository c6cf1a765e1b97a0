package io.fluxtally.ledger.reconcile;

import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * Holds a long ledger against a long bill, and against itself, in a process of its own, whose memory the caller bounds. Arguments:
 * the directory to work in and the number of lines. It prints what it comes to.
 */
public final class LongBill {

    private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    private LongBill() {}

    /** Writes both, and reconciles and verifies them. */
    public static void main(String[] args) throws IOException {
        Path directory = Path.of(args[0]);
        int lines = Integer.parseInt(args[1]);
        Path bill = directory.resolve("bill.csv");
        Path ledger = Files.createDirectories(directory.resolve("ledger"));
        write(bill, ledger.resolve("usage-2026-01-01-0001.jsonl"), lines);

        long begin = System.nanoTime();
        ReconciliationReport report = Reconciliation.of(BillFormat.plain())
                .withSpillDirectory(directory)
                .run(LedgerReader.of(ledger)::forEach, List.of(bill));
        long reconciled = System.nanoTime();
        System.out.printf(
                "%d %d %d %d%n",
                report.equal(),
                report.billedNotBooked().count(),
                report.bookedNotBilled().count(),
                report.differing().count());
        VerificationReport verified =
                LedgerVerification.of(ledger).withSpillDirectory(directory).run();
        System.out.printf("%s %d %d%n", verified.isSound(), verified.requests(), verified.runs());
        System.out.printf(
                "reconciled in %d ms, verified in %d ms, heap of %d MB%n",
                (reconciled - begin) / 1_000_000,
                (System.nanoTime() - reconciled) / 1_000_000,
                Runtime.getRuntime().maxMemory() >> 20);
    }

    /** Of every ten thousand one is billed and not booked, one booked and not billed, and one differs. */
    private static void write(Path bill, Path ledger, int lines) throws IOException {
        try (BufferedWriter billed = Files.newBufferedWriter(bill);
                BufferedWriter booked = Files.newBufferedWriter(ledger)) {
            billed.write("response_id,model,time,input_tokens,output_tokens\n");
            for (int i = 0; i < lines; i++) {
                // The ledger has them in another order than the bill; 7,919 is prime, so that each comes once.
                long other = i * 7_919L % lines;
                if (other % 10_000 != 1) {
                    booked.write(record(other));
                    booked.write('\n');
                }
                if (i % 10_000 != 2) {
                    billed.write("chatcmpl-%032d,qwen-max,%s,%d,%d%n"
                            .formatted(i, START.plusSeconds(i), 1_000 + i % 977, i % 10_000 == 3 ? 21 : 20));
                }
            }
        }
    }

    private static String record(long i) {
        return LedgerRecord.write(RequestUsage.builder("0190-%032d".formatted(i), START.plusSeconds(i))
                .runId("run-" + i / 5)
                .responseId("chatcmpl-%032d".formatted(i))
                .provider("dashscope")
                .requestModel("qwen-max")
                .usage(TokenUsage.of(1_000 + i % 977, 20), UsageSource.REPORTED)
                .build());
    }
}
