package io.fluxtally.ledger;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Says that a directory is this writer's alone, until it is closed or its process ends, however it ends. */
final class DirectoryLock implements AutoCloseable {

    private static final String NAME = "writer.lock";

    private final FileChannel channel;

    private DirectoryLock(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Takes a directory, which is made if it is not there.
     *
     * @throws LedgerException if another writer has it, or it cannot be written
     */
    static DirectoryLock take(Path directory, String purpose) {
        FileChannel channel = null;
        try {
            LedgerFiles.makeDirectory(directory);
            channel = LedgerFiles.openForWriting(
                    directory.resolve(NAME), Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE));
            if (lock(channel) != null) {
                return new DirectoryLock(channel);
            }
        } catch (IOException failed) {
            close(channel);
            throw new LedgerException(
                    "could not take the %s %s for writing: %s".formatted(purpose, directory, failed), failed);
        }
        close(channel);
        throw new LedgerException(
                "the %s %s must have one writer, but another has it (%s is locked); give each process a directory of its own"
                        .formatted(purpose, directory, NAME));
    }

    private static @Nullable FileLock lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException inThisProcess) {
            return null;
        }
    }

    private static void close(@Nullable FileChannel channel) {
        if (channel != null) {
            try {
                channel.close();
            } catch (IOException nothingToDo) {
                // It is of no use any more, closed or not.
            }
        }
    }

    @Override
    public void close() {
        close(channel);
    }
}
