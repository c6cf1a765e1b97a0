package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("a ledger")
@Timeout(120)
class UsageLedgerTest {

    private static final Duration LONG = Duration.ofSeconds(60);

    @TempDir
    Path spill;

    private final ScriptedStore store = new ScriptedStore();

    private static LedgerOptions quick(LedgerOptions options) {
        return options.withLinger(Duration.ZERO).withRetries(2, Duration.ofMillis(1), Duration.ofMillis(5));
    }

    private LedgerOptions options(OverflowPolicy policy) {
        return quick(
                switch (policy) {
                    case SPILL -> LedgerOptions.spillingTo(spill);
                    case BLOCK -> LedgerOptions.blocking(Duration.ofMillis(20));
                    case DROP -> LedgerOptions.dropping();
                });
    }

    private static void accept(UsageLedger ledger, int from, int to) {
        IntStream.range(from, to).forEach(i -> ledger.accept(Records.plain("request-" + i, i)));
    }

    private static void await(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            LockSupport.parkNanos(100_000);
        }
    }

    private static void assertNothingUncounted(LedgerCounters counters) {
        assertThat(counters.accepted() + counters.leftover())
                .as(counters.toString())
                .isEqualTo(counters.written()
                        + counters.duplicates()
                        + counters.droppedTotal()
                        + counters.queued()
                        + counters.inSpill());
    }

    @ParameterizedTest
    @EnumSource(OverflowPolicy.class)
    @DisplayName("writes what a recorder books, and a flush says when all of it is there and forced")
    void writes(OverflowPolicy policy) {
        try (UsageLedger ledger = UsageLedger.open(store, options(policy))) {
            UsageRecorder recorder = UsageRecorder.withSinks(ledger);
            List<RequestUsage> requests = Records.plain(1000);
            requests.forEach(request -> recorder.book(null, request));

            LedgerFlush flush = ledger.flush(LONG);

            assertThat(flush).isEqualTo(new LedgerFlush(0, 0, 0, true));
            assertThat(flush.isComplete()).isTrue();
            assertThat(store.records()).containsExactlyElementsOf(requests);
            assertThat(store.forces()).isPositive();
            assertThat(ledger.counters().written()).isEqualTo(1000);
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
        }
        assertThat(store.closed()).isTrue();
    }

    @Test
    @DisplayName("waits for others to be written with, unless a batch is full or somebody flushes")
    void lingers() {
        LedgerOptions options =
                LedgerOptions.dropping().withLinger(Duration.ofHours(1)).withBatchSize(10);
        try (UsageLedger ledger = UsageLedger.open(store, options)) {
            accept(ledger, 0, 25);
            await(() -> store.records().size() == 20);
            assertThat(ledger.counters().queued()).isEqualTo(5);
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.appends()).isEqualTo(3);
        }
    }

    @Test
    @DisplayName("counts what was in the store already")
    void duplicates() {
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.DROP))) {
            accept(ledger, 0, 10);
            accept(ledger, 5, 15);
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.ids()).hasSize(15);
            assertThat(ledger.counters().written()).isEqualTo(15);
            assertThat(ledger.counters().duplicates()).isEqualTo(5);
        }
    }

    @Test
    @DisplayName("drops and counts what the queue has no room for, and a flush says so from then on")
    void drops() {
        store.permits = new Semaphore(0);
        try (UsageLedger ledger = UsageLedger.open(
                store, options(OverflowPolicy.DROP).withCapacity(4).withBatchSize(1))) {
            accept(ledger, 0, 1);
            await(() -> store.entered.getCount() == 0);
            accept(ledger, 1, 10);
            assertThat(ledger.counters().dropped(DropReason.QUEUE_FULL)).isEqualTo(5);
            assertThat(ledger.counters().queued()).isEqualTo(5);
            store.permits.release(100);
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 5, true));
            assertThat(store.ids()).containsExactly("request-0", "request-1", "request-2", "request-3", "request-4");
            assertNothingUncounted(ledger.counters());
        }
    }

    @Test
    @DisplayName("lets the thread that books wait for room, if that is its policy, and no longer than it says")
    void blocks() throws InterruptedException {
        store.permits = new Semaphore(0);
        LedgerOptions options =
                quick(LedgerOptions.blocking(LONG)).withCapacity(2).withBatchSize(1);
        try (UsageLedger ledger = UsageLedger.open(store, options)) {
            accept(ledger, 0, 1);
            await(() -> store.entered.getCount() == 0);
            Thread booking = new Thread(() -> accept(ledger, 1, 10));
            booking.start();
            await(() -> booking.getState() == Thread.State.TIMED_WAITING);
            store.permits.release(100);
            booking.join();
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.ids()).hasSize(10);
        }
        ScriptedStore stuck = new ScriptedStore();
        stuck.permits = new Semaphore(0);
        LedgerOptions impatient = quick(LedgerOptions.blocking(Duration.ofMillis(1)))
                .withCapacity(2)
                .withBatchSize(1);
        try (UsageLedger ledger = UsageLedger.open(stuck, impatient)) {
            accept(ledger, 0, 1);
            await(() -> stuck.entered.getCount() == 0);
            accept(ledger, 1, 10);
            assertThat(ledger.counters().dropped(DropReason.QUEUE_FULL)).isEqualTo(7);
            stuck.permits.release(100);
        }
    }

    @Test
    @DisplayName("keeps the interrupt of a thread that waits for room")
    void interrupted() {
        store.permits = new Semaphore(0);
        try (UsageLedger ledger = UsageLedger.open(
                store, quick(LedgerOptions.blocking(LONG)).withCapacity(1).withBatchSize(1))) {
            accept(ledger, 0, 1);
            await(() -> store.entered.getCount() == 0);
            accept(ledger, 1, 2);
            Thread.currentThread().interrupt();
            accept(ledger, 2, 3);
            assertThat(Thread.interrupted()).isTrue();
            assertThat(ledger.counters().dropped(DropReason.QUEUE_FULL)).isEqualTo(1);
            store.permits.release(100);
        }
    }

    @Test
    @DisplayName("tries a batch that failed again, and counts it if it goes on failing")
    void retries() {
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.DROP))) {
            store.broken = true;
            accept(ledger, 0, 3);
            await(() -> ledger.counters().droppedTotal() == 3);
            assertThat(ledger.counters().dropped(DropReason.STORE_FAILED)).isEqualTo(3);
            assertThat(ledger.counters().retried()).isBetween(2L, 6L);
            store.broken = false;
            accept(ledger, 3, 5);
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 3, true));
            assertThat(store.ids()).containsExactly("request-3", "request-4");
        }
    }

    @Test
    @DisplayName("writes a batch once that failed when all of it was there")
    void repeats() {
        store.brokenAfterwards = true;
        try (UsageLedger ledger = UsageLedger.open(
                store,
                options(OverflowPolicy.DROP).withRetries(1_000_000, Duration.ofMillis(1), Duration.ofMillis(1)))) {
            accept(ledger, 0, 3);
            await(() -> ledger.counters().retried() > 2);
            store.brokenAfterwards = false;
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.ids()).hasSize(3);
            assertNothingUncounted(ledger.counters());
        }
    }

    @Test
    @DisplayName("spills what a broken store does not take, and writes it when the store is mended")
    void spillsBroken() throws IOException {
        store.broken = true;
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL))) {
            accept(ledger, 0, 1000);
            LedgerFlush flush = ledger.flush(Duration.ofMillis(50));
            assertThat(flush.isComplete()).isFalse();
            await(() -> ledger.counters().inSpill() == 1000);
            assertThat(ledger.flush(Duration.ZERO).inSpill()).isEqualTo(1000);
            store.broken = false;
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.ids()).hasSize(1000);
            assertThat(ledger.counters().recovered()).isEqualTo(1000);
            assertNothingUncounted(ledger.counters());
        }
        assertThat(spillFiles()).isEmpty();
    }

    private List<Path> spillFiles() throws IOException {
        try (Stream<Path> files = Files.list(spill)) {
            return files.filter(file -> file.toString().endsWith(".jsonl")).toList();
        }
    }

    @Test
    @DisplayName("spills what a store that hangs leaves no room for, on another thread than those that book")
    void spillsHanging() {
        store.permits = new Semaphore(0);
        try (UsageLedger ledger = UsageLedger.open(
                store, options(OverflowPolicy.SPILL).withCapacity(64).withBatchSize(4))) {
            for (int i = 0; i < 2000; i++) {
                accept(ledger, i, i + 1);
                await(() -> ledger.counters().queued() < 64);
            }
            assertThat(ledger.counters().spilled()).isGreaterThan(1900);
            assertThat(ledger.counters().droppedTotal()).isZero();
            store.permits.release(1_000_000);
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(store.ids()).hasSize(2000);
            assertNothingUncounted(ledger.counters());
        }
    }

    @Test
    @DisplayName("writes at its next start what an earlier one has spilled")
    void leftover() throws IOException {
        store.broken = true;
        UsageLedger first = UsageLedger.open(store, options(OverflowPolicy.SPILL));
        accept(first, 0, 20_000);
        assertThat(first.close(LONG)).isEqualTo(new LedgerFlush(0, 20_000, 0, true));
        assertThat(spillFiles()).hasSizeGreaterThan(1);
        ScriptedStore next = new ScriptedStore();
        try (UsageLedger second = UsageLedger.open(next, options(OverflowPolicy.SPILL))) {
            accept(second, 20_000, 20_010);
            assertThat(second.counters().leftover()).isEqualTo(20_000);
            assertThat(second.flush(LONG).isComplete()).isTrue();
            assertThat(next.ids()).hasSize(20_010);
            assertNothingUncounted(second.counters());
        }
        assertThat(spillFiles()).isEmpty();
    }

    @Test
    @DisplayName("leaves a spill file to its next start if the store is not sure of what it took")
    void unsure() throws IOException {
        store.broken = true;
        store.unforced = true;
        UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL));
        accept(ledger, 0, 10);
        await(() -> ledger.counters().inSpill() == 10);
        store.broken = false;
        assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 0, false));
        assertThat(ledger.close(LONG).forced()).isFalse();
        assertThat(spillFiles()).isNotEmpty();
        try (UsageLedger next = UsageLedger.open(new ScriptedStore(), options(OverflowPolicy.SPILL))) {
            assertThat(next.flush(LONG).isComplete()).isTrue();
            assertThat(next.counters().leftover()).isEqualTo(10);
        }
    }

    @Test
    @DisplayName("counts what the spill files have no room for")
    void spillFull() {
        store.broken = true;
        try (UsageLedger ledger = UsageLedger.open(
                store, options(OverflowPolicy.SPILL).withBatchSize(10).withMaxSpillBytes(10_000))) {
            accept(ledger, 0, 1000);
            await(() -> ledger.counters().queued() == 0);
            LedgerCounters counters = ledger.counters();
            assertThat(counters.inSpill()).isPositive();
            assertThat(counters.dropped(DropReason.SPILL_FULL)).isEqualTo(1000 - counters.inSpill());
            store.broken = false;
            assertThat(ledger.flush(LONG).dropped()).isEqualTo(counters.droppedTotal());
            assertThat(store.ids()).hasSize((int) counters.inSpill());
        }
    }

    @Test
    @DisplayName("puts a spill file aside that holds lines that are no records, and counts them")
    void spillJunk() throws IOException {
        Files.writeString(
                spill.resolve("spill-000001.jsonl"),
                "a secret\n" + LedgerRecord.write(Records.plain("good", 1)) + "\n{\"v\":2}\n{\"v\":1,\"requ");
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL))) {
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 2, true));
            assertThat(store.ids()).containsExactly("good");
            assertThat(ledger.counters().leftover()).isEqualTo(3);
            assertNothingUncounted(ledger.counters());
        }
        assertThat(spill.resolve("spill-000001.jsonl.unreadable")).exists();
    }

    @ParameterizedTest
    @EnumSource(OverflowPolicy.class)
    @DisplayName("counts the record that the store refuses, and writes those beside it")
    void refused(OverflowPolicy policy) {
        store.refuses = request -> request.requestId().equals("request-7");
        try (UsageLedger ledger = UsageLedger.open(store, options(policy))) {
            accept(ledger, 0, 10);
            ledger.accept(RequestUsage.builder("too long", Records.START)
                    .duration(Duration.ofDays(400 * 365))
                    .build());
            ledger.accept(null);
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 3, true));
            assertThat(store.ids()).hasSize(9).doesNotContain("request-7");
            assertThat(ledger.counters().dropped(DropReason.REFUSED)).isEqualTo(3);
            assertNothingUncounted(ledger.counters());
        }
    }

    @Test
    @DisplayName("is not held up by a spilled record that the store refuses")
    void refusedFromSpill() {
        store.broken = true;
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL))) {
            accept(ledger, 0, 10);
            await(() -> ledger.counters().inSpill() == 10);
            store.refuses = request -> request.requestId().equals("request-7");
            store.broken = false;
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 1, true));
            assertThat(store.ids()).hasSize(9);
            assertNothingUncounted(ledger.counters());
        }
    }

    /** Refuses the first request, so that its batch comes one by one, and then does with each of these what a test says. */
    private LedgerStore refusingFirst(Consumer<RequestUsage> oneByOne) {
        store.refuses = request -> request.requestId().equals("request-0");
        return new LedgerStore() {
            @Override
            public int append(List<RequestUsage> batch) {
                if (batch.size() == 1) {
                    oneByOne.accept(batch.get(0));
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
        };
    }

    @Test
    @DisplayName("keeps all of a batch that the store refuses one of, however it fails at another")
    void failsOneByOne() {
        AtomicInteger failures = new AtomicInteger();
        LedgerStore failing = refusingFirst(request -> {
            if (request.requestId().equals("request-2") && failures.incrementAndGet() < 6) {
                throw new IllegalStateException("no exception of a ledger's");
            }
        });
        try (UsageLedger ledger = UsageLedger.open(
                failing, options(OverflowPolicy.SPILL).withBatchSize(10).withLinger(Duration.ofHours(1)))) {
            accept(ledger, 0, 10);
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 1, true));
            assertThat(store.ids()).hasSize(9);
            assertThat(ledger.counters().dropped(DropReason.REFUSED)).isEqualTo(1);
            assertNothingUncounted(ledger.counters());
        }
    }

    @Test
    @DisplayName("leaves a store in peace that fails at what was spilled, however it fails")
    void failsOneByOneFromSpill() {
        AtomicInteger failures = new AtomicInteger();
        LedgerStore failing = refusingFirst(request -> {
            if (request.requestId().equals("request-2")) {
                failures.incrementAndGet();
                throw new IllegalStateException("no exception of a ledger's");
            }
        });
        store.broken = true;
        UsageLedger ledger = UsageLedger.open(
                failing,
                options(OverflowPolicy.SPILL)
                        .withBatchSize(10)
                        .withLinger(Duration.ofHours(1))
                        .withRetries(0, Duration.ofHours(1), Duration.ofHours(1)));
        accept(ledger, 0, 10);
        await(() -> ledger.counters().inSpill() == 10);
        store.broken = false;
        ledger.flush(Duration.ofMillis(50));
        assertThat(failures.get()).isLessThan(2);
        ledger.close(LONG);
        assertThat(ledger.counters().inSpill()).isEqualTo(10);
    }

    @Test
    @DisplayName("counts once what was written one by one when closing took it away")
    void countsOnceWhatClosingTook() {
        Semaphore gate = new Semaphore(0);
        LedgerStore hanging = refusingFirst(request -> {
            if (request.requestId().equals("request-1")) {
                gate.acquireUninterruptibly();
                throw new LedgerException("after all");
            }
        });
        UsageLedger ledger = UsageLedger.open(
                hanging, options(OverflowPolicy.DROP).withBatchSize(10).withLinger(Duration.ofHours(1)));
        accept(ledger, 0, 10);
        await(gate::hasQueuedThreads);
        assertThat(ledger.close(Duration.ofMillis(1))).isEqualTo(new LedgerFlush(0, 0, 10, false));
        gate.release();
        await(store::closed);
        assertThat(ledger.counters().dropped(DropReason.CLOSED)).isEqualTo(10);
        assertNothingUncounted(ledger.counters());
    }

    @Test
    @DisplayName("spills what is left when the thread that closes it is interrupted, and keeps the interrupt")
    void closeInterrupted() {
        store.permits = new Semaphore(0);
        UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL));
        accept(ledger, 0, 100);
        await(() -> store.entered.getCount() == 0);
        Thread.currentThread().interrupt();
        LedgerFlush flush = ledger.close(LONG);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(flush).isEqualTo(new LedgerFlush(0, 100, 0, false));
        store.permits.release(100);
        await(store::closed);
    }

    @Test
    @Timeout(30)
    @DisplayName("does not wait once more for a store that closing has given up")
    void closesGivenUp() {
        store.permits = new Semaphore(0);
        UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.DROP));
        accept(ledger, 0, 10);
        await(() -> store.entered.getCount() == 0);
        LedgerFlush given = ledger.close(Duration.ofMillis(1));
        assertThat(ledger.close(Duration.ofDays(1))).isEqualTo(given);
        assertThat(ledger.flush(Duration.ofDays(1))).isEqualTo(given);
        store.permits.release(100);
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 300, 10_000})
    @DisplayName("spills into files that a store of files can tell whole from a repetition, also at its end")
    void smallSpillFiles(int batchSize) throws IOException {
        store.broken = true;
        store.permits = new Semaphore(1);
        UsageLedger ledger =
                UsageLedger.open(store, options(OverflowPolicy.SPILL).withBatchSize(batchSize));
        accept(ledger, 0, 30_000);
        await(() -> store.permits.hasQueuedThreads() || ledger.counters().queued() == 0);
        ledger.close(Duration.ofMillis(1));
        assertThat(ledger.counters().inSpill()).isEqualTo(30_000);
        long lines = 0;
        for (Path file : spillFiles()) {
            long ofFile = Files.readAllLines(file).size();
            assertThat(ofFile).isLessThanOrEqualTo(Spill.RECORDS_PER_FILE);
            lines += ofFile;
        }
        assertThat(lines).isGreaterThanOrEqualTo(30_000);
        store.permits.release(1_000_000);
        await(store::closed);
    }

    @Test
    @DisplayName("leaves its spill files alone once it has given the directory back")
    void leavesSpillGivenBack() {
        store.broken = true;
        UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL));
        accept(ledger, 0, 10);
        await(() -> ledger.counters().inSpill() == 10);
        Semaphore gate = new Semaphore(0);
        store.permits = gate;
        store.broken = false;
        ledger.flush(Duration.ZERO);
        await(gate::hasQueuedThreads);
        ledger.close(Duration.ofMillis(1));
        try (Spill next = new Spill(spill, Long.MAX_VALUE)) {
            gate.release(100);
            await(store::closed);
            assertThat(next.peek(100)).hasSize(10);
        }
    }

    @ParameterizedTest
    @EnumSource(OverflowPolicy.class)
    @DisplayName("refuses a record that is too long to be read again")
    void refusesTooLong(OverflowPolicy policy) {
        try (UsageLedger ledger = UsageLedger.open(store, options(policy))) {
            accept(ledger, 0, 1);
            ledger.accept(RequestUsage.builder("named by a model", Records.START)
                    .responseModel("\u4e00".repeat(LineScanner.MAX_LINE / 6))
                    .build());
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 1, true));
            assertThat(store.ids()).containsExactly("request-0");
            assertThat(ledger.counters().dropped(DropReason.REFUSED)).isEqualTo(1);
        }
    }

    @Test
    @DisplayName("says that a flush is not complete if the store cannot be forced")
    void notForced() {
        store.unforced = true;
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.DROP))) {
            accept(ledger, 0, 1);
            assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 0, false));
            store.unforced = false;
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
        }
    }

    @Test
    @DisplayName("says how many records a flush has left waiting when its time is up")
    void flushTimeout() {
        store.permits = new Semaphore(0);
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.DROP))) {
            accept(ledger, 0, 5);
            assertThat(ledger.flush(Duration.ofMillis(1))).isEqualTo(new LedgerFlush(5, 0, 0, false));
            store.permits.release(100);
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
        }
    }

    @Test
    @DisplayName("writes what is queued when it is closed, counts what comes later, and can be closed again")
    void closes() {
        UsageLedger ledger =
                UsageLedger.open(store, options(OverflowPolicy.DROP).withLinger(Duration.ofHours(1)));
        accept(ledger, 0, 100);
        assertThat(ledger.close(LONG).isComplete()).isTrue();
        assertThat(store.ids()).hasSize(100);
        assertThat(store.closed()).isTrue();
        accept(ledger, 100, 101);
        assertThat(ledger.counters().dropped(DropReason.CLOSED)).isEqualTo(1);
        assertThat(ledger.close(LONG)).isEqualTo(new LedgerFlush(0, 0, 1, true));
        assertThat(ledger.flush(LONG)).isEqualTo(new LedgerFlush(0, 0, 1, true));
        assertNothingUncounted(ledger.counters());
    }

    @ParameterizedTest
    @EnumSource(OverflowPolicy.class)
    @DisplayName("does not wait for a store that hangs longer than closing may take")
    void closesHanging(OverflowPolicy policy) {
        store.permits = new Semaphore(0);
        UsageLedger ledger = UsageLedger.open(store, options(policy).withBatchSize(10));
        accept(ledger, 0, 100);
        await(() -> store.entered.getCount() == 0);
        LedgerFlush flush = ledger.close(Duration.ofMillis(1));
        assertThat(flush.isComplete()).isFalse();
        assertThat(flush.waiting()).isZero();
        assertThat(policy == OverflowPolicy.SPILL ? flush.inSpill() : flush.dropped())
                .isEqualTo(100);
        assertNothingUncounted(ledger.counters());
        store.permits.release(1000);
        await(store::closed);
        assertNothingUncounted(ledger.counters());
        if (policy == OverflowPolicy.SPILL) {
            ScriptedStore next = new ScriptedStore();
            try (UsageLedger second = UsageLedger.open(next, options(policy))) {
                assertThat(second.flush(LONG).isComplete()).isTrue();
                assertThat(next.ids()).hasSize(100);
            }
        }
    }

    @Test
    @DisplayName("does not share its spill directory")
    void spillIsItsOwn() {
        try (UsageLedger ledger = UsageLedger.open(store, options(OverflowPolicy.SPILL))) {
            assertThatThrownBy(() -> UsageLedger.open(new ScriptedStore(), options(OverflowPolicy.SPILL)))
                    .isInstanceOf(LedgerException.class)
                    .hasMessage(
                            "the spill directory %s must have one writer, but another has it (writer.lock is locked); give each process a directory of its own"
                                    .formatted(spill));
        }
        UsageLedger.open(new ScriptedStore(), options(OverflowPolicy.SPILL)).close();
    }

    @ParameterizedTest
    @EnumSource(OverflowPolicy.class)
    @DisplayName("has every record that four threads book, or counts it, with a store that fails and stalls at random")
    void countsToTheLast(OverflowPolicy policy) throws InterruptedException {
        int each = 20_000;
        LedgerStore moody = new LedgerStore() {
            @Override
            public int append(List<RequestUsage> batch) {
                int mood = ThreadLocalRandom.current().nextInt(10);
                if (mood == 0) {
                    throw new LedgerException("not now");
                }
                if (mood == 1) {
                    LockSupport.parkNanos(1_000_000);
                }
                int added = store.append(batch);
                if (mood == 2) {
                    throw new LedgerException("all there, but who knows");
                }
                return added;
            }

            @Override
            public void force() {}

            @Override
            public void close() {
                store.close();
            }
        };
        UsageLedger ledger = UsageLedger.open(
                moody,
                options(policy)
                        .withCapacity(256)
                        .withBatchSize(16)
                        .withRetries(1, Duration.ofNanos(1000), Duration.ofMillis(1)));
        AtomicReference<Throwable> wrong = new AtomicReference<>();
        CountDownLatch booked = new CountDownLatch(4);
        for (int t = 0; t < 4; t++) {
            int thread = t;
            new Thread(() -> {
                        try {
                            for (int i = 0; i < each; i++) {
                                ledger.accept(Records.plain(thread + "-" + i, i));
                                if (i % 1000 == 0) {
                                    assertNothingUncounted(ledger.counters());
                                    ledger.flush(Duration.ZERO);
                                }
                            }
                        } catch (Throwable error) {
                            wrong.set(error);
                        }
                        booked.countDown();
                    })
                    .start();
        }
        booked.await();
        assertThat(wrong.get()).isNull();
        LedgerFlush flush = ledger.close(LONG);

        LedgerCounters counters = ledger.counters();
        assertNothingUncounted(counters);
        assertThat(counters.accepted()).isEqualTo(4L * each);
        assertThat(counters.queued()).isZero();
        assertThat(flush.dropped()).isEqualTo(counters.droppedTotal());
        Set<String> kept = new HashSet<>(store.ids());
        if (policy == OverflowPolicy.SPILL) {
            Set<String> spilled = new HashSet<>();
            try (Spill left = new Spill(spill, Long.MAX_VALUE)) {
                assertThat(left.leftover()).isGreaterThanOrEqualTo(counters.inSpill());
                for (List<RequestUsage> some = left.peek(100); !some.isEmpty(); some = left.peek(100)) {
                    some.forEach(request -> spilled.add(request.requestId()));
                    left.settle();
                    if (left.oldestIsDone()) {
                        left.removeOldest(true);
                    }
                }
            }
            kept.addAll(spilled);
            assertThat(counters.dropped(DropReason.STORE_FAILED)).isZero();
            assertThat(kept).hasSize((int) (counters.accepted() - counters.droppedTotal()));
        } else {
            // A batch that failed after it was there is counted as dropped although it is kept: never the other way
            // round.
            assertThat(kept.size()).isGreaterThanOrEqualTo((int) (counters.accepted() - counters.droppedTotal()));
            assertThat(counters.written() + counters.duplicates())
                    .isEqualTo(counters.accepted() - counters.droppedTotal());
        }
    }
}
