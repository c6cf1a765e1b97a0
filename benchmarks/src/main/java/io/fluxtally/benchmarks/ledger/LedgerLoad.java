package io.fluxtally.benchmarks.ledger;

import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.LedgerCounters;
import io.fluxtally.ledger.LedgerFlush;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.LedgerStore;
import io.fluxtally.ledger.UsageLedger;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import reactor.core.publisher.Flux;

/**
 * Streams at a fixed rate, each of which books a request at its end, without a ledger and with one of files: how long a stream
 * takes, and whether all that was booked is in the ledger. And with a ledger that drops, whose store is too slow: whether it counts
 * what it drops.
 *
 * <p>It is no JMH benchmark, since what is asked for is the tail of the times at a given rate. Arguments: seconds for each of the
 * two (60), streams a second (20,000).
 */
public final class LedgerLoad {

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final PrintWriter out;
    private final int seconds;
    private final int rate;

    /** By how many milliseconds the last streams were later than the rate asks for. */
    private long behind;

    private LedgerLoad(PrintWriter out, int seconds, int rate) {
        this.out = out;
        this.seconds = seconds;
        this.rate = rate;
    }

    /** Runs all, and ends with status 1 if something that was booked is neither in a ledger nor counted. */
    public static void main(String[] arguments) throws IOException {
        int seconds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 60;
        int rate = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 20_000;
        Path folder = Files.createTempDirectory("ledger-load");
        try (PrintWriter out =
                new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8)) {
            boolean right = new LedgerLoad(out, seconds, rate).run(folder);
            if (!right) {
                Runtime.getRuntime().halt(1);
            }
        } finally {
            delete(folder);
        }
    }

    private boolean run(Path folder) throws IOException {
        // Both ways of the code are warm before one of them is measured.
        streams(UsageRecorder.withSinks(), Math.min(5, seconds));
        withLedger(folder.resolve("warm"), Math.min(5, seconds));
        out.println("%,d streams a second, %d s each; microseconds from the subscription to the end of a stream"
                .formatted(rate, seconds));
        out.println("%-16s %9s %9s %9s %9s %9s %12s".formatted("", "mean", "p50", "p99", "p99.9", "max", "behind, ms"));
        long[] without = streams(UsageRecorder.withSinks(), seconds);
        print("no ledger", without);
        Measured with = withLedger(folder.resolve("measured"), seconds);
        print("ledger of files", with.nanos);
        out.println("ratio of the means %.2f, of the 99th percentiles %.2f"
                .formatted(
                        (double) mean(with.nanos) / mean(without), (double) at(with.nanos, 0.99) / at(without, 0.99)));
        out.println(with.words);
        return with.right & dropping();
    }

    private record Measured(long[] nanos, boolean right, String words) {}

    private Measured withLedger(Path folder, int forSeconds) throws IOException {
        Path spill = folder.resolveSibling(folder.getFileName() + "-spill");
        UsageLedger ledger = UsageLedger.open(JsonlLedgerStore.open(folder), LedgerOptions.spillingTo(spill));
        long[] nanos = streams(UsageRecorder.withSinks(ledger), forSeconds);
        LedgerFlush flush = ledger.flush(PATIENCE);
        ledger.close(PATIENCE);
        LedgerCounters counters = ledger.counters();
        AtomicLong found = new AtomicLong();
        LedgerReader.of(folder).forEach(request -> found.incrementAndGet());
        boolean right = flush.isComplete() && counters.droppedTotal() == 0 && found.get() == nanos.length;
        return new Measured(
                nanos,
                right,
                "booked %,d, in the ledger %,d, spilled on the way %,d, dropped %,d: %s"
                        .formatted(
                                nanos.length,
                                found.get(),
                                counters.spilled(),
                                counters.droppedTotal(),
                                right ? "all there" : "NOT ALL THERE"));
    }

    /** Whether a ledger that may drop says how much it has dropped, to the last record. */
    private boolean dropping() {
        UsageLedger ledger = UsageLedger.open(new SlowStore(), LedgerOptions.dropping());
        long[] nanos = streams(UsageRecorder.withSinks(ledger), Math.min(10, seconds));
        print("ledger that drops", nanos);
        ledger.close(PATIENCE);
        LedgerCounters counters = ledger.counters();
        boolean right = counters.written() + counters.droppedTotal() == nanos.length;
        out.println("booked %,d, written %,d, dropped %,d: %s"
                .formatted(
                        nanos.length,
                        counters.written(),
                        counters.droppedTotal(),
                        right ? "counted to the last" : "NOT COUNTED"));
        return right;
    }

    /** A store that takes a batch every 50 ms. */
    private static final class SlowStore implements LedgerStore {

        @Override
        public int append(List<RequestUsage> batch) {
            LockSupport.parkNanos(50_000_000);
            return batch.size();
        }

        @Override
        public void force() {}

        @Override
        public void close() {}
    }

    /** Runs streams at the rate, one after the other, and returns how long each took. */
    private long[] streams(UsageRecorder recorder, int forSeconds) {
        long[] nanos = new long[forSeconds * rate];
        RunScope run = null;
        long begin = System.nanoTime();
        long step = 1_000_000_000L / rate;
        for (int i = 0; i < nanos.length; i++) {
            long due = begin + i * step;
            long now = System.nanoTime();
            while (now < due) {
                if (due - now > 200_000) {
                    LockSupport.parkNanos(100_000);
                } else {
                    Thread.onSpinWait();
                }
                now = System.nanoTime();
            }
            if (i % 100 == 0) {
                run = RunScope.start();
            }
            Flux<ChatResponse> stream = ChatUsage.capture(Flux.fromArray(chunks(i)), recorder);
            long start = System.nanoTime();
            (run == null ? stream : run.wrap(stream)).subscribe();
            nanos[i] = System.nanoTime() - start;
        }
        behind = (System.nanoTime() - begin) / 1_000_000 - forSeconds * 1_000L;
        return nanos;
    }

    private static ChatResponse[] chunks(int number) {
        String id = "response-" + number;
        return new ChatResponse[] {
            chunk(id, "cloudy, ", null), chunk(id, "26 °C", null), chunk(id, "", new DefaultUsage(200, 20))
        };
    }

    private static ChatResponse chunk(String id, String text, @Nullable Usage usage) {
        ChatResponseMetadata.Builder metadata =
                ChatResponseMetadata.builder().id(id).model("scripted");
        if (usage != null) {
            metadata.usage(usage);
        }
        ChatGenerationMetadata end = ChatGenerationMetadata.builder()
                .finishReason(usage == null ? null : "stop")
                .build();
        return new ChatResponse(List.of(new Generation(new AssistantMessage(text), end)), metadata.build());
    }

    private void print(String name, long[] nanos) {
        Arrays.sort(nanos);
        out.println("%-16s %9.1f %9.1f %9.1f %9.1f %9.1f %12d"
                .formatted(
                        name,
                        mean(nanos) / 1e3,
                        at(nanos, 0.5) / 1e3,
                        at(nanos, 0.99) / 1e3,
                        at(nanos, 0.999) / 1e3,
                        nanos[nanos.length - 1] / 1e3,
                        Math.max(0, behind)));
    }

    private static long mean(long[] nanos) {
        return Arrays.stream(nanos).sum() / nanos.length;
    }

    /** Of sorted times. */
    private static long at(long[] nanos, double share) {
        return nanos[(int) Math.min(nanos.length - 1L, Math.round(nanos.length * share))];
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
