package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("a ledger whose disk is full, or cannot be written")
@Timeout(120)
class FullDiskTest {

    private static final Duration LONG = Duration.ofSeconds(60);

    @TempDir
    Path temporary;

    private Path files;
    private Path spill;

    @BeforeEach
    void directories() throws IOException {
        files = Files.createDirectory(temporary.resolve("files"));
        spill = Files.createDirectory(temporary.resolve("spill"));
    }

    private UsageLedger open(JsonlOptions options) {
        return UsageLedger.open(
                JsonlLedgerStore.open(files, options),
                LedgerOptions.spillingTo(spill)
                        .withLinger(Duration.ZERO)
                        .withBatchSize(50)
                        .withRetries(1, Duration.ofMillis(1), Duration.ofMillis(10)));
    }

    private static void awaitNothingQueued(UsageLedger ledger) {
        while (ledger.counters().queued() > 0) {
            LockSupport.parkNanos(100_000);
        }
    }

    private List<RequestUsage> read() {
        List<LedgerProblem> problems = new ArrayList<>();
        List<RequestUsage> records = Records.read(files, problems);
        assertThat(problems).isEmpty();
        return records;
    }

    @Test
    @DisplayName("spills to another, and has every record when there is room again")
    void spills() throws Exception {
        try (AutoCloseable disk = Disk.mount(files, 256)) {
            Path other = files.resolve("another app's");
            Files.write(other, new byte[128 << 10]);
            try (UsageLedger ledger = open(JsonlOptions.DEFAULTS)) {
                Records.plain(2000).forEach(ledger::accept);
                assertThat(ledger.flush(Duration.ofMillis(300)).isComplete()).isFalse();
                awaitNothingQueued(ledger);
                assertThat(ledger.counters().inSpill()).isPositive();
                assertThat(ledger.counters().droppedTotal()).isZero();
                disk.close();
                // Mounted over the directory it came from, which is on a disk with room and has nothing of what was
                // written.
                assertThat(ledger.flush(LONG).isComplete()).isTrue();
                assertThat(ledger.counters().written()).isEqualTo(2000);
            }
        }
    }

    @Test
    @DisplayName("has every record once when there is room again on the same disk")
    void spillsAndComesBack() throws Exception {
        try (AutoCloseable disk = Disk.mount(files, 1024)) {
            Path other = files.resolve("another app's");
            Files.write(other, new byte[900 << 10]);
            try (UsageLedger ledger = open(JsonlOptions.DEFAULTS)) {
                Records.plain(2000).forEach(ledger::accept);
                assertThat(ledger.flush(Duration.ofMillis(300)).isComplete()).isFalse();
                awaitNothingQueued(ledger);
                assertThat(ledger.counters().inSpill()).isPositive();
                Files.delete(other);
                assertThat(ledger.flush(LONG).isComplete()).isTrue();
                assertThat(ledger.counters().droppedTotal()).isZero();
            }
            assertThat(read()).hasSize(2000).hasSameElementsAs(Records.plain(2000));
        }
    }

    @Test
    @DisplayName("has or counts every record if the spill files are on the same full disk")
    void bothFull() throws Exception {
        try (AutoCloseable disk = Disk.mount(temporary, 256)) {
            directories();
            try (UsageLedger ledger = open(JsonlOptions.DEFAULTS)) {
                Records.plain(3000).forEach(ledger::accept);
                awaitNothingQueued(ledger);
                LedgerCounters counters = ledger.counters();
                assertThat(counters.dropped(DropReason.SPILL_FAILED)).isPositive();
                ledger.close(LONG);
                counters = ledger.counters();
                assertThat(counters.written() + counters.inSpill() + counters.droppedTotal())
                        .isEqualTo(3000);
                Set<String> kept = new HashSet<>();
                read().forEach(record -> kept.add(record.requestId()));
                assertThat(kept).hasSize((int) counters.written());
            }
            ScriptedStore next = new ScriptedStore();
            try (UsageLedger ledger = UsageLedger.open(next, LedgerOptions.spillingTo(spill))) {
                long left = ledger.counters().leftover();
                assertThat(ledger.flush(LONG).isComplete()).isTrue();
                assertThat(next.ids()).hasSize((int) left);
            }
        }
    }

    @Test
    @DisplayName("spills while its directory is read-only, and has every record when it is not any more")
    void readOnly() throws Exception {
        try (UsageLedger ledger = open(JsonlOptions.DEFAULTS.withMaxFileBytes(10_000))) {
            AutoCloseable lock = Disk.readOnly(files);
            try {
                Records.plain(1000).forEach(ledger::accept);
                assertThat(ledger.flush(Duration.ofMillis(300)).isComplete()).isFalse();
                awaitNothingQueued(ledger);
                assertThat(ledger.counters().inSpill()).isEqualTo(1000);
            } finally {
                lock.close();
            }
            assertThat(ledger.flush(LONG).isComplete()).isTrue();
            assertThat(ledger.counters().written()).isEqualTo(1000);
        }
        assertThat(read()).hasSameElementsAs(Records.plain(1000));
    }
}
