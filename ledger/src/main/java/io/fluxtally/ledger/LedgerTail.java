package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Follows a ledger of files while it is written, across its files: made by {@link LedgerReader#tail()}. It has no thread;
 * each {@link #poll} hands over what is new, and opens no file for longer.
 *
 * <p>A line that is not ended yet is left for the next time, unless a later file says that it is not to be ended any more.
 * Not safe for use by several threads.
 */
public final class LedgerTail {

    private final Path path;
    private final Consumer<? super LedgerProblem> problems;
    private final RecentKeys keys = new RecentKeys(LedgerReader.REMEMBERED_KEYS);
    private @Nullable Path current;
    private long offset;
    private long line;

    LedgerTail(Path path, Consumer<? super LedgerProblem> problems) {
        this.path = path;
        this.problems = problems;
    }

    /**
     * Hands over the records that were written since the last time.
     *
     * @return how many they were
     * @throws LedgerException if a file cannot be read; the next time goes on where this one ended
     */
    public long poll(Consumer<? super RequestUsage> action) {
        long count = 0;
        // Listed before anything is read: a file that has a later one by then is not appended to any more.
        List<Path> files = LedgerReader.files(path);
        int at = current == null ? 0 : files.indexOf(current);
        if (at < 0) {
            // Removed while it was followed: what is later is new.
            at = firstAfter(files, current);
            go(null);
        }
        for (; at < files.size(); at++) {
            Path file = files.get(at);
            if (!file.equals(current)) {
                go(file);
            }
            count += read(file, at < files.size() - 1, action);
        }
        return count;
    }

    private static int firstAfter(List<Path> files, @Nullable Path removed) {
        int at = 0;
        while (removed != null && at < files.size() && name(files.get(at)).compareTo(name(removed)) < 0) {
            at++;
        }
        return at;
    }

    private static String name(Path file) {
        return String.valueOf(file.getFileName());
    }

    private void go(@Nullable Path file) {
        current = file;
        offset = 0;
        line = 0;
    }

    private long read(Path file, boolean ended, Consumer<? super RequestUsage> action) {
        long count = 0;
        try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
            LineScanner lines = new LineScanner(Channels.newInputStream(in.position(offset)), offset, line);
            while (lines.advance() && (lines.whole() || ended)) {
                offset = lines.next();
                line = lines.number();
                RequestUsage record = LedgerReader.record(file, lines, keys, problems);
                if (record != null) {
                    count++;
                    action.accept(record);
                }
            }
        } catch (NoSuchFileException removed) {
            return count;
        } catch (IOException failed) {
            throw new LedgerException("could not read %s: %s".formatted(file, failed), failed);
        }
        return count;
    }
}
