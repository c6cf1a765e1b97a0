package io.fluxtally.ledger.reconcile;

import io.fluxtally.ledger.LedgerException;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * A directory for what does not fit into memory, deleted on {@link #close()} and when the process is told to end. Nobody but
 * its owner can look into it. It is made when the first file is. Not safe for use by several threads.
 */
final class SpillDirectory implements Closeable {

    private static final int EXIT_ATTEMPTS = 100;

    private final Path parent;
    private final Thread atExit = new Thread(this::deleteAtExit, "fluxtally-spill-cleaner");
    private volatile @Nullable Path directory;

    /** A directory inside another, which must be there. */
    SpillDirectory(Path parent) {
        this.parent = parent;
    }

    /** A new file, which Java makes with the mode 600, and its directory with 700, where the system has modes. */
    Path newFile() throws IOException {
        Path made = directory;
        if (made == null) {
            made = Files.createTempDirectory(parent, "fluxtally-");
            directory = made;
            Runtime.getRuntime().addShutdownHook(atExit);
        }
        return Files.createTempFile(made, "", "");
    }

    /** Adds to a file. */
    static void append(Path file, byte[] bytes, int length) throws IOException {
        try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.APPEND)) {
            out.write(bytes, 0, length);
        }
    }

    @Override
    public void close() {
        delete();
        if (directory != null) {
            try {
                Runtime.getRuntime().removeShutdownHook(atExit);
            } catch (IllegalStateException shuttingDown) {
                // Then it is the hook itself that deletes, or has deleted.
            }
        }
    }

    /** The work goes on meanwhile: it may make one more file between the look and the deed, but none in a directory that is gone. */
    private void deleteAtExit() {
        for (int attempt = 0; attempt < EXIT_ATTEMPTS; attempt++) {
            try {
                delete();
                return;
            } catch (LedgerException notYet) {
                Thread.onSpinWait();
            }
        }
    }

    private void delete() {
        Path made = directory;
        if (made == null || !Files.exists(made)) {
            return;
        }
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(made)) {
            for (Path entry : entries) {
                Files.deleteIfExists(entry);
            }
            Files.deleteIfExists(made);
        } catch (IOException failed) {
            throw new LedgerException("could not delete %s: %s".formatted(made, failed), failed);
        }
    }
}
