package io.fluxtally.ledger;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Says that a directory is this writer's alone, until it is closed or its process ends, however it ends. */
final class DirectoryLock implements AutoCloseable {

    private static final String NAME = "writer.lock";

    /**
     * The directories that this process has. One of them must not even be tried to be locked: POSIX gives a process's lock on
     * a file up when the process closes that file, whichever of its descriptors it does that by.
     */
    private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

    private final Path directory;
    private final FileChannel channel;

    private DirectoryLock(Path directory, FileChannel channel) {
        this.directory = directory;
        this.channel = channel;
    }

    /**
     * Takes a directory, which is made if it is not there.
     *
     * @throws LedgerException if another writer has it, or it cannot be written
     */
    static DirectoryLock take(Path directory, String purpose) {
        FileChannel channel = null;
        Path real = null;
        try {
            LedgerFiles.makeDirectory(directory);
            Path found = directory.toRealPath();
            if (!HELD.add(found)) {
                throw held(directory, purpose);
            }
            real = found;
            channel = LedgerFiles.openForWriting(
                    found.resolve(NAME), Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE));
            if (lock(channel) != null) {
                return new DirectoryLock(found, channel);
            }
        } catch (IOException failed) {
            giveBack(real, channel);
            throw new LedgerException(
                    "could not take the %s %s for writing: %s".formatted(purpose, directory, failed), failed);
        }
        giveBack(real, channel);
        throw held(directory, purpose);
    }

    private static LedgerException held(Path directory, String purpose) {
        return new LedgerException(
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

    private static void giveBack(@Nullable Path directory, @Nullable FileChannel channel) {
        if (channel != null) {
            try {
                channel.close();
            } catch (IOException nothingToDo) {
                // It is of no use any more, closed or not.
            }
        }
        if (directory != null) {
            HELD.remove(directory);
        }
    }

    /** Closing again does nothing, so that it takes the directory from nobody who has it by then. */
    @Override
    public void close() {
        if (channel.isOpen()) {
            giveBack(directory, channel);
        }
    }
}
