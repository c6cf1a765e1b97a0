package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("A long bill and a long ledger")
class ConstantMemoryTest {

    /** {@code -Dfluxtally.lines=1000000} is what it is about, and takes longer than a build should. */
    private static final int LINES = Integer.getInteger("fluxtally.lines", 200_000);

    @TempDir
    private Path folder;

    @Test
    @DisplayName("are held against each other, and the ledger against itself, in 32 MB")
    void constantMemory() throws IOException, InterruptedException {
        Path output = folder.resolve("output");
        Process process = start(output, LINES);
        assertThat(process.waitFor(10, TimeUnit.MINUTES)).isTrue();

        long each = LINES / 10_000;
        assertThat(Files.readAllLines(output))
                .as(() -> "%d lines".formatted(LINES))
                .hasSize(3)
                .startsWith(
                        "%d %d %d %d".formatted(LINES - 3 * each, each, each, each),
                        "true %d %d".formatted(LINES - each, LINES / 5))
                .last()
                .asString()
                .contains("heap of 3");
        assertThat(process.exitValue()).isZero();
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).hasSize(3);
        }
    }

    @Test
    @DisabledOnOs(OS.WINDOWS) // There a process is not told to end, but ended.
    @DisplayName("leave no file behind when the process is told to end")
    void toldToEnd() throws IOException, InterruptedException {
        Path output = folder.resolve("output");
        try (WatchService watch = folder.getFileSystem().newWatchService()) {
            folder.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            Process process = start(output, 20_000);
            while (!hasSpilled(watch)) {
                assertThat(process.isAlive()).isTrue();
            }
            process.destroy();
            assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        }

        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder("bill.csv", "ledger", "output");
        }
    }

    /** Waits until something was made in the folder, and says whether it is for what does not fit into memory. */
    private static boolean hasSpilled(WatchService watch) throws InterruptedException {
        WatchKey key = watch.poll(1, TimeUnit.MINUTES);
        assertThat(key).isNotNull();
        boolean spilled = key.pollEvents().stream()
                .anyMatch(event -> event.context().toString().startsWith("fluxtally-"));
        key.reset();
        return spilled;
    }

    private Process start(Path output, int lines) throws IOException {
        return new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx32m",
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        LongBill.class.getName(),
                        folder.toString(),
                        Integer.toString(lines)))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
    }
}
