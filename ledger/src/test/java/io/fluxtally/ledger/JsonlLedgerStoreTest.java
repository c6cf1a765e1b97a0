package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.fluxtally.usage.RequestUsage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;

@Label("a ledger of files")
class JsonlLedgerStoreTest {

    private Path parent;
    private Path directory;
    private Instant now = Records.START;
    private final JsonlOptions options = JsonlOptions.DEFAULTS.withClock(() -> now);
    private final List<LedgerProblem> problems = new ArrayList<>();

    @BeforeTry
    void makeDirectory() throws IOException {
        parent = Files.createTempDirectory("ledger");
        directory = parent.resolve("ledger");
        now = Records.START;
        problems.clear();
    }

    @AfterTry
    void removeDirectory() throws IOException {
        try (Stream<Path> files = Files.walk(parent)) {
            files.sorted((left, right) -> right.compareTo(left))
                    .forEach(file -> file.toFile().delete());
        }
    }

    private JsonlLedgerStore open() {
        return JsonlLedgerStore.open(directory, options);
    }

    private List<RequestUsage> read() {
        return Records.read(directory, problems);
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".jsonl"))
                    .sorted()
                    .toList();
        }
    }

    @Provide
    Arbitrary<List<RequestUsage>> anyRecords() {
        return Records.any();
    }

    @Property(tries = 200)
    @Label("gives back any record as it was given, on a line of its own that is ASCII")
    void roundTrip(@ForAll("anyRecords") List<RequestUsage> records) throws IOException {
        try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, options.withFsync(FsyncPolicy.NEVER))) {
            assertThat(store.append(records)).isEqualTo(records.size());
        }
        assertThat(read()).isEqualTo(records);
        assertThat(problems).isEmpty();
        Path file = directory.resolve(names().get(0));
        assertThat(Files.readAllLines(file))
                .hasSize(records.size())
                .allMatch(line -> line.startsWith("{\"v\":1,\"request_id\":"));
        for (byte letter : Files.readAllBytes(file)) {
            assertThat(letter).isPositive();
        }
    }

    @Example
    @Label("begins a file every day and whenever one is large enough, and never goes back in time")
    void rotates() throws IOException {
        try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, options.withMaxFileBytes(500))) {
            List<RequestUsage> records = Records.plain(6);
            store.append(records.subList(0, 2));
            store.append(records.subList(2, 3));
            now = now.plusSeconds(24 * 3600);
            store.append(records.subList(3, 4));
            now = now.minusSeconds(24 * 3600);
            store.append(records.subList(4, 5));
            store.append(records.subList(5, 6));
        }
        assertThat(names())
                .containsExactly(
                        "usage-2026-01-31-0001.jsonl",
                        "usage-2026-01-31-0002.jsonl",
                        "usage-2026-02-01-0001.jsonl",
                        "usage-2026-02-01-0002.jsonl");
        assertThat(read()).isEqualTo(Records.plain(6));
    }

    @Example
    @Label("goes on in the last file after a restart, and knows what is in it")
    void restarts() throws IOException {
        try (JsonlLedgerStore store = open()) {
            assertThat(store.append(Records.plain(10))).isEqualTo(10);
            assertThat(store.append(Records.plain(12))).isEqualTo(2);
        }
        try (JsonlLedgerStore store = open()) {
            assertThat(store.found()).isEmpty();
            assertThat(store.append(Records.plain(15))).isEqualTo(3);
        }
        assertThat(names()).hasSize(1);
        assertThat(read()).isEqualTo(Records.plain(15));
    }

    @Example
    @Label("remembers the keys of so many last records, over files and restarts")
    void remembers() {
        JsonlOptions few = options.withRememberedKeys(5).withMaxFileBytes(600);
        List<RequestUsage> records = Records.plain(20);
        try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, few)) {
            for (int i = 0; i < 20; i += 2) {
                store.append(records.subList(i, i + 2));
            }
            assertThat(store.append(records.subList(15, 20))).isZero();
        }
        try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, few)) {
            assertThat(store.append(records.subList(15, 20))).isZero();
            assertThat(store.append(records.subList(14, 15))).isEqualTo(1);
        }
        assertThat(read()).isEqualTo(records);
        assertThat(problems)
                .singleElement()
                .satisfies(problem -> assertThat(problem.toString())
                        .endsWith(": a request must be there once, but request-14 was there before"));
    }

    @Example
    @Label("can be read by its owner alone")
    void modes() throws IOException {
        assumeTrue(Files.getFileStore(parent).supportsFileAttributeView("posix"), "there are no such modes here");
        try (JsonlLedgerStore store = open()) {
            store.append(Records.plain(1));
        }
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)))
                .isEqualTo("rwx------");
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files)
                    .hasSize(2)
                    .allSatisfy(file -> assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                            .isEqualTo("rw-------"));
        }
    }

    @Example
    @Label("has a batch once whose writing was broken off when its file could not be cut back any more")
    void brokenOff() throws Exception {
        List<RequestUsage> records = Records.plain(100_000);
        try (JsonlLedgerStore store =
                JsonlLedgerStore.open(directory, options.withRememberedKeys(10).withFsync(FsyncPolicy.NEVER))) {
            store.append(records.subList(0, 1));
            Path file = directory.resolve(names().get(0));
            long before = Files.size(file);
            // An interrupt closes the file under whoever writes it, who then cannot cut it back.
            AtomicReference<Throwable> failure = new AtomicReference<>();
            Thread writer = new Thread(() -> {
                try {
                    store.append(records.subList(1, records.size()));
                } catch (LedgerException interrupted) {
                    failure.set(interrupted);
                }
            });
            writer.start();
            while (Files.size(file) == before && writer.isAlive()) {
                Thread.onSpinWait();
            }
            writer.interrupt();
            writer.join();
            if (failure.get() != null) {
                store.append(records.subList(1, records.size()));
            }
        }
        List<RequestUsage> read = read();
        assertThat(problems.stream().limit(1)).isEmpty();
        assertThat(read.equals(records)).isTrue();
    }

    @Example
    @Label("has one writer at a time, and tells a second one so")
    void oneWriter() {
        try (JsonlLedgerStore store = open()) {
            assertThatThrownBy(this::open)
                    .isInstanceOf(LedgerException.class)
                    .hasMessageContaining("the ledger directory %s must have one writer", directory);
            store.append(Records.plain(1));
        }
        open().close();
    }

    @Provide
    Arbitrary<List<RequestUsage>> fewRecords() {
        return Records.any(2);
    }

    @Property(tries = 10)
    @Label("cuts off a last line that a crash has cut anywhere, reports it, and goes on")
    void torn(@ForAll("fewRecords") List<RequestUsage> records) throws IOException {
        try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, options.withFsync(FsyncPolicy.NEVER))) {
            store.append(records);
        }
        Path file = directory.resolve(names().get(0));
        byte[] all = Files.readAllBytes(file);
        int lastLine = lastIndexOf(all, all.length - 2) + 1;
        for (int end = lastLine; end < all.length; end += end < all.length - 30 ? 23 : 1) {
            Files.write(file, Arrays.copyOf(all, end));
            boolean whole = end >= all.length - 1;
            int before = records.size() - 1;
            try (JsonlLedgerStore store = JsonlLedgerStore.open(directory, options.withFsync(FsyncPolicy.NEVER))) {
                if (end == lastLine || whole) {
                    assertThat(store.found()).isEmpty();
                } else {
                    assertThat(store.found()).singleElement().satisfies(problem -> {
                        assertThat(problem.kind()).isEqualTo(LedgerProblem.Kind.TORN);
                        assertThat(problem.line()).isEqualTo(before + 1);
                    });
                }
                assertThat(read()).isEqualTo(whole ? records : records.subList(0, before));
                assertThat(problems).isEmpty();
                assertThat(store.append(records)).isEqualTo(whole ? 0 : 1);
            }
            assertThat(read()).isEqualTo(records);
            assertThat(problems).isEmpty();
        }
    }

    private static int lastIndexOf(byte[] bytes, int from) {
        int at = from;
        while (at >= 0 && bytes[at] != '\n') {
            at--;
        }
        return at;
    }

    @Example
    @Label("goes on in another file if the last one cannot be written, and says where it could not write if none can")
    void readOnly() throws Exception {
        try (JsonlLedgerStore store = open()) {
            store.append(Records.plain(1));
        }
        Path first = directory.resolve(names().get(0));
        AutoCloseable file = Disk.readOnly(first);
        try (JsonlLedgerStore store = open()) {
            assertThat(store.append(Records.plain(2))).isEqualTo(1);
        } finally {
            file.close();
        }
        assertThat(names()).hasSize(2);
        assertThat(read()).isEqualTo(Records.plain(2));

        JsonlLedgerStore store = JsonlLedgerStore.open(directory, options.withMaxFileBytes(1));
        AutoCloseable all = Disk.readOnly(directory);
        try {
            assertThatThrownBy(() -> store.append(Records.plain(3)))
                    .isInstanceOf(LedgerException.class)
                    .hasMessageContaining("could not append 1 records to " + directory);
        } finally {
            all.close();
        }
        assertThat(store.append(Records.plain(3))).isEqualTo(1);
        store.close();
        assertThat(read()).isEqualTo(Records.plain(3));
    }

    @Example
    @Label("takes nothing of a batch on a full disk, and all of it when there is room")
    void fullDisk() throws Exception {
        Files.createDirectory(directory);
        try (AutoCloseable disk = Disk.mount(directory, 64);
                JsonlLedgerStore store = open()) {
            List<RequestUsage> records = Records.plain(400);
            assertThat(store.append(records.subList(0, 50))).isEqualTo(50);
            assertThatThrownBy(() -> store.append(records))
                    .isInstanceOf(LedgerException.class)
                    .hasMessageContaining("No space left on device");
            assertThat(read()).isEqualTo(records.subList(0, 50));
            assertThat(problems).isEmpty();
            assertThat(store.append(records.subList(50, 60))).isEqualTo(10);
            assertThat(read()).isEqualTo(records.subList(0, 60));
        }
    }

    @Example
    @Label("goes on in another file if the one it writes is removed")
    void removed() throws IOException {
        try (JsonlLedgerStore store = open()) {
            store.append(Records.plain(1));
            Files.delete(directory.resolve(names().get(0)));
            assertThat(store.append(Records.plain(3))).isEqualTo(2);
        }
        assertThat(read()).hasSize(2);
    }

    @Example
    @Label("says what directory cannot be a ledger's")
    void noDirectory() throws IOException {
        Files.writeString(directory, "a file");
        assertThatThrownBy(this::open)
                .isInstanceOf(LedgerException.class)
                .hasMessageStartingWith("could not take the ledger directory " + directory + " for writing: ");
    }
}
