package io.fluxtally.ledger;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Real disks that are full, and real files that cannot be written. A test that cannot have one is skipped and says why. */
final class Disk {

    private Disk() {}

    /** A file system of its own with so many KiB. */
    static AutoCloseable mount(Path at, int kibibytes) {
        assumeTrue(
                run("mount", "-t", "tmpfs", "-o", "size=%dk,mode=700".formatted(kibibytes), "tmpfs", at.toString()),
                "a small file system could not be mounted (it takes Linux and root)");
        return () -> run("umount", "-l", at.toString());
    }

    /** Makes a file, or what is in a directory, immutable even for root, or for others by its mode. */
    static AutoCloseable readOnly(Path path) throws IOException {
        if (run("chattr", "+i", path.toString())) {
            return () -> run("chattr", "-i", path.toString());
        }
        boolean done = path.toFile().setWritable(false, false);
        if (done && Files.isWritable(path)) {
            path.toFile().setWritable(true, true);
            done = false;
        }
        assumeTrue(done, "a file could not be made read-only (root needs chattr +i for it)");
        return () -> path.toFile().setWritable(true, true);
    }

    private static boolean run(String... command) {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
            return process.waitFor(30, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException noSuchCommand) {
            return false;
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
