package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that writes under load is killed with {@code kill -9} at random moments, as often as
 * {@code -Dfluxtally.ledger.kills} says.
 */
@DisplayName("a ledger whose process is killed")
class KilledWriterTest {

    private static final int KILLS = Integer.getInteger("fluxtally.ledger.kills", 10);

    /** A ledger is read as a whole after every kill, so that a new one is begun now and then. */
    private static final int KILLS_PER_LEDGER = 10;

    @TempDir
    Path temporary;

    private int torn;
    private int leftover;
    private long acknowledged;

    /** Writes until it is killed, and prints how far it came whenever a flush is complete. */
    static final class Writer {

        private static final int THREADS = 2;

        private Writer() {}

        public static void main(String[] arguments) throws IOException {
            String round = arguments[2];
            boolean moody = Boolean.parseBoolean(arguments[3]);
            UsageLedger ledger = open(Path.of(arguments[0]), Path.of(arguments[1]), moody);
            int[] accepted = new int[THREADS];
            Object lock = new Object();
            for (int t = 0; t < THREADS; t++) {
                int thread = t;
                new Thread(() -> {
                            for (int i = 0; ; i++) {
                                ledger.accept(Records.plain("%s-%d-%d".formatted(round, thread, i), i));
                                synchronized (lock) {
                                    accepted[thread] = i + 1;
                                }
                                if (i % 16 == 0) {
                                    LockSupport.parkNanos(1_000_000);
                                }
                            }
                        })
                        .start();
            }
            while (true) {
                String line;
                synchronized (lock) {
                    line = round + " " + accepted[0] + " " + accepted[1];
                }
                LedgerFlush flush = ledger.flush(Duration.ofSeconds(60));
                if (flush.dropped() > 0) {
                    Runtime.getRuntime().halt(3);
                }
                if (flush.isComplete()) {
                    // In one write: what the other end reads of a line that was cut by the kill is no acknowledgement.
                    System.out.write((line + " ack\n").getBytes(StandardCharsets.US_ASCII));
                    System.out.flush();
                }
            }
        }
    }

    /** With a store that fails now and then, some of it goes through the spill files. */
    private static UsageLedger open(Path directory, Path spill, boolean moody) {
        JsonlLedgerStore store = JsonlLedgerStore.open(
                directory, JsonlOptions.DEFAULTS.withFsync(FsyncPolicy.ON_FLUSH).withMaxFileBytes(1 << 20));
        LedgerOptions options = LedgerOptions.spillingTo(spill).withLinger(Duration.ofMillis(1));
        return moody
                ? UsageLedger.open(
                        new Moody(store),
                        options.withBatchSize(16).withRetries(0, Duration.ofMillis(1), Duration.ofMillis(2)))
                : UsageLedger.open(store, options);
    }

    private record Moody(LedgerStore store) implements LedgerStore {

        @Override
        public int append(List<RequestUsage> batch) {
            if (ThreadLocalRandom.current().nextInt(20) == 0) {
                throw new LedgerException("not now");
            }
            return store.append(batch);
        }

        @Override
        public void force() {
            store.force();
        }

        @Override
        public void close() {
            store.close();
        }
    }

    @Test
    @DisplayName("has at its next start every record that a flush has acknowledged, and none twice")
    @Timeout(value = 20, unit = TimeUnit.MINUTES)
    void killed() throws IOException, InterruptedException {
        Random random = new Random(KILLS);
        Map<String, int[]> acknowledgedByRound = new HashMap<>();
        Path ledger = temporary;
        for (int kill = 0; kill < KILLS; kill++) {
            if (kill % KILLS_PER_LEDGER == 0) {
                delete(ledger);
                ledger = temporary.resolve("ledger-" + kill);
                acknowledgedByRound.clear();
            }
            String round = "round" + kill;
            killOne(ledger, round, kill % 3 == 2, random.nextInt(80_000_000), acknowledgedByRound);
            check(ledger, acknowledgedByRound);
        }
        // Not asserted: whether a kill hits a write in the middle is chance. The torn line has tests of its own.
        System.out.printf(
                "%d kills: %d records acknowledged, %d torn lines, %d records left in spill files%n",
                KILLS, acknowledged, torn, leftover);
        assertThat(acknowledged).isPositive();
    }

    private void killOne(Path ledger, String round, boolean moody, long nanos, Map<String, int[]> acknowledgedByRound)
            throws IOException, InterruptedException {
        Process writer = OtherJvm.start(
                Writer.class,
                ledger.resolve("files").toString(),
                ledger.resolve("spill").toString(),
                round,
                String.valueOf(moody));
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(writer.getInputStream(), StandardCharsets.US_ASCII))) {
            String line = lines.readLine();
            // A newer JVM may have something to say first, and the first flush nothing to acknowledge.
            while (line != null && !line.matches(".* [1-9]\\d* .*ack|.* [1-9]\\d* ack")) {
                line = lines.readLine();
            }
            assertThat(line).as("the writer ended on its own").isNotNull();
            writer.waitFor(nanos, TimeUnit.NANOSECONDS);
            // Process.destroyForcibly() does the same, and closes the stream that still holds acknowledgements.
            writer.toHandle().destroyForcibly();
            for (; line != null; line = lines.readLine()) {
                String[] words = line.split(" ");
                if (words.length == 4 && words[3].equals("ack")) {
                    acknowledgedByRound.put(
                            words[0], new int[] {Integer.parseInt(words[1]), Integer.parseInt(words[2])});
                }
            }
        } finally {
            writer.destroyForcibly().waitFor();
        }
        int[] last = acknowledgedByRound.getOrDefault(round, new int[2]);
        acknowledged += last[0] + last[1];
    }

    private void check(Path ledger, Map<String, int[]> acknowledgedByRound) {
        JsonlLedgerStore store = JsonlLedgerStore.open(ledger.resolve("files"));
        torn += store.found().size();
        try (UsageLedger next = UsageLedger.open(store, LedgerOptions.spillingTo(ledger.resolve("spill")))) {
            leftover += (int) next.counters().leftover();
            assertThat(next.flush(Duration.ofSeconds(60)).isComplete()).isTrue();
        }
        List<LedgerProblem> problems = new ArrayList<>();
        Set<String> ids = new HashSet<>();
        for (RequestUsage record : Records.read(ledger.resolve("files"), problems)) {
            assertThat(ids.add(record.requestId())).as(record.requestId()).isTrue();
        }
        assertThat(problems).isEmpty();
        acknowledgedByRound.forEach((round, counts) -> {
            for (int thread = 0; thread < counts.length; thread++) {
                for (int i = 0; i < counts[thread]; i++) {
                    String id = "%s-%d-%d".formatted(round, thread, i);
                    if (!ids.contains(id)) {
                        throw new AssertionError(id + " was acknowledged and is not there");
                    }
                }
            }
        });
    }

    private void delete(Path ledger) throws IOException {
        if (!ledger.equals(temporary)) {
            try (Stream<Path> files = Files.walk(ledger)) {
                files.sorted((left, right) -> right.compareTo(left))
                        .forEach(file -> file.toFile().delete());
            }
        }
    }
}
