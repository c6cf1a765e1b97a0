package io.fluxtally.ledger;

import io.fluxtally.ledger.LedgerFiles.DatedFile;
import io.fluxtally.usage.RequestUsage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A ledger of files in a directory: one record a line, appended, never changed. {@code docs/ledger.md} describes them.
 *
 * <p>A file is {@code usage-<day>-<number>.jsonl}, where the day is that of its first record in UTC; the next begins on the
 * next day, or when the file is as large as it may be. On systems with such modes, a file that is made here can be read by
 * its owner alone (600, the directory 700). A directory has one writer at a time.
 *
 * <p>A record is not written again if its first is among the last {@link JsonlOptions#rememberedKeys() 32,768}, before a
 * restart or after. That is all that a {@link UsageLedger} can repeat: a batch that failed, and at its start the records of
 * one spill file. A request that the app books twice further apart is in the files twice, and {@link LedgerReader} says how
 * it tells.
 *
 * <p>Not safe for use by several threads.
 */
public final class JsonlLedgerStore implements LedgerStore {

    private static final Logger LOG = LoggerFactory.getLogger(JsonlLedgerStore.class);

    private final Path directory;
    private final JsonlOptions options;
    private final DirectoryLock lock;
    private final RecentKeys keys;
    private final List<LedgerProblem> found = new ArrayList<>();

    private @Nullable FileChannel channel;
    private @Nullable DatedFile file;

    /** The length of the file up to which it holds whole records. */
    private long length;

    /** Up to which length the file was forced. */
    private long forced;

    /** Whether the file may have a part of a batch that failed beyond its length. */
    private boolean overlong;

    /** The file that could not be forced, and may lose records if the machine crashes: once so, nobody can tell any more. */
    private @Nullable Path doubtful;

    private boolean closed;

    private JsonlLedgerStore(Path directory, JsonlOptions options, DirectoryLock lock) {
        this.directory = directory;
        this.options = options;
        this.lock = lock;
        this.keys = new RecentKeys(options.rememberedKeys());
    }

    /** {@link #open(Path, JsonlOptions)} with the defaults. */
    public static JsonlLedgerStore open(Path directory) {
        return open(directory, JsonlOptions.DEFAULTS);
    }

    /**
     * Opens a directory for writing. It is made if it is not there. A last line that a crash has cut is cut off and
     * {@linkplain #found() reported}.
     *
     * @throws LedgerException if another writer has the directory, or it cannot be used
     */
    public static JsonlLedgerStore open(Path directory, JsonlOptions options) {
        DirectoryLock lock = DirectoryLock.take(directory, "ledger directory");
        JsonlLedgerStore store = new JsonlLedgerStore(directory, options, lock);
        try {
            store.takeUp();
        } catch (IOException failed) {
            lock.close();
            throw new LedgerException(
                    "could not read the ledger directory %s: %s".formatted(directory, failed), failed);
        }
        return store;
    }

    /** What was wrong at the end of the last file when the directory was opened; it was put right. */
    public List<LedgerProblem> found() {
        return List.copyOf(found);
    }

    private void takeUp() throws IOException {
        List<DatedFile> files = LedgerFiles.in(directory);
        if (files.isEmpty()) {
            return;
        }
        DatedFile last = files.get(files.size() - 1);
        file = last;
        // At once, and not when something is appended: what is wrong with its end is to be told at the start.
        reopen(last);
        int missing = options.rememberedKeys();
        List<List<String>> newestFirst = new ArrayList<>();
        for (int i = files.size() - 1; i >= 0 && missing > 0; i--) {
            List<String> of = keysAtEndOf(files.get(i).path(), missing);
            newestFirst.add(of);
            missing -= of.size();
        }
        for (int i = newestFirst.size() - 1; i >= 0; i--) {
            newestFirst.get(i).forEach(keys::add);
        }
    }

    private List<String> keysAtEndOf(Path path, int max) throws IOException {
        long start = LedgerFiles.startOfLastLines(path, max);
        List<String> last = new ArrayList<>();
        try (FileChannel in = FileChannel.open(path, StandardOpenOption.READ)) {
            LineScanner lines = new LineScanner(Channels.newInputStream(in.position(start)), start, 0);
            while (lines.advance()) {
                if (!lines.tooLong()) {
                    try {
                        last.add(LedgerRecord.read(lines.line(), 0, lines.length())
                                .requestId());
                    } catch (LedgerRecord.NotARecordException junk) {
                        // The reader reports it.
                    }
                }
            }
        }
        return last;
    }

    @Override
    public int append(List<RequestUsage> batch) {
        if (closed) {
            throw new LedgerException("the ledger directory %s is closed".formatted(directory));
        }
        ByteArrayOutputStream lines = new ByteArrayOutputStream(512 * batch.size());
        Set<String> added = new LinkedHashSet<>();
        for (RequestUsage request : batch) {
            if (!keys.contains(request.requestId()) && added.add(request.requestId())) {
                lines.writeBytes(LedgerRecord.bytes(request));
                lines.write('\n');
            }
        }
        if (added.isEmpty()) {
            return 0;
        }
        try {
            write(ByteBuffer.wrap(lines.toByteArray()));
        } catch (IOException failed) {
            throw new LedgerException(
                    "could not append %d records to %s: %s"
                            .formatted(added.size(), file == null ? directory : file.path(), failed),
                    failed);
        }
        added.forEach(keys::add);
        return added.size();
    }

    private void write(ByteBuffer lines) throws IOException {
        FileChannel out = channel();
        try {
            long end = length;
            while (lines.hasRemaining()) {
                end += out.write(lines, end);
            }
            if (options.fsync() == FsyncPolicy.EVERY_BATCH) {
                out.force(false);
                forced = end;
            }
            length = end;
        } catch (IOException failed) {
            takeBack(out, failed);
            throw failed;
        }
    }

    /** After this the file has no part of a batch that failed, or it is closed, and has none when it is opened again. */
    private void takeBack(FileChannel out, IOException failed) {
        try {
            out.truncate(length);
            // What a force that failed has thrown away of the file is not known, so that it is left behind.
            if (options.fsync() == FsyncPolicy.EVERY_BATCH) {
                out.force(false);
            }
        } catch (IOException alsoFailed) {
            failed.addSuppressed(alsoFailed);
            overlong = true;
            leave();
        }
    }

    /** The file to append to: the last one, or the next if that is full, of another day, gone or not to be written. */
    private FileChannel channel() throws IOException {
        DatedFile last = file;
        LocalDate today = LocalDate.ofInstant(options.clock().instant(), ZoneOffset.UTC);
        // A clock that was put back must not make a file that comes before those that are there.
        boolean sameDay = last != null && !today.isAfter(last.date());
        FileChannel open = channel;
        if (open != null && last != null && sameDay && length < options.maxFileBytes() && Files.exists(last.path())) {
            return open;
        }
        if (open != null) {
            forceBeforeLeaving(open, last);
        } else if (last != null && sameDay && reopen(last)) {
            return Objects.requireNonNull(channel);
        }
        leave();
        DatedFile next = last == null || !sameDay
                ? DatedFile.in(directory, today, 1)
                : DatedFile.in(directory, last.date(), last.sequence() + 1);
        FileChannel made = LedgerFiles.openForWriting(
                next.path(), Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
        if (options.fsync() != FsyncPolicy.NEVER) {
            LedgerFiles.forceDirectory(directory);
        }
        file = next;
        overlong = false;
        length = 0;
        forced = 0;
        channel = made;
        return made;
    }

    /** Goes on in the last file, put right at its end; false if it is full, gone or cannot be written. */
    private boolean reopen(DatedFile last) {
        FileChannel out = null;
        try {
            out = FileChannel.open(last.path(), StandardOpenOption.WRITE);
            if (overlong) {
                out.truncate(length);
                overlong = false;
            }
            length = mend(last.path(), out);
            forced = 0;
            channel = out;
            return length < options.maxFileBytes();
        } catch (IOException failed) {
            LOG.debug("could not go on in {}", last.path(), failed);
            close(out);
            return false;
        }
    }

    /** Ends the last line of a file, or cuts it off if it is not whole, and returns the length of the file then. */
    private long mend(Path path, FileChannel out) throws IOException {
        long start = Math.min(LedgerFiles.startOfLastLines(path, 0), out.size());
        if (start == out.size()) {
            return start;
        }
        LineScanner last = lastLine(path, start);
        try {
            if (last.tooLong()) {
                throw new LedgerRecord.NotARecordException(
                        LedgerProblem.Kind.TORN, "must be a JSON object", "is longer than any");
            }
            LedgerRecord.read(last.line(), 0, last.length());
        } catch (LedgerRecord.NotARecordException torn) {
            LedgerProblem problem = new LedgerProblem(
                    path,
                    linesBefore(path, start) + 1,
                    LedgerProblem.Kind.TORN,
                    "the last line must end with a line feed",
                    "%d bytes of it are all there is; they were cut off".formatted(out.size() - start));
            found.add(problem);
            LOG.warn("{}", problem);
            out.truncate(start);
            return start;
        }
        long end = out.size();
        out.write(ByteBuffer.wrap(new byte[] {'\n'}), end);
        return end + 1;
    }

    private static LineScanner lastLine(Path path, long start) throws IOException {
        try (FileChannel in = FileChannel.open(path, StandardOpenOption.READ)) {
            LineScanner line = new LineScanner(Channels.newInputStream(in.position(start)), start, 0);
            line.advance();
            return line;
        }
    }

    private static long linesBefore(Path path, long end) throws IOException {
        byte[] block = new byte[1 << 16];
        long lines = 0;
        try (InputStream in = Files.newInputStream(path)) {
            for (long left = end; left > 0; ) {
                int read = in.read(block, 0, (int) Math.min(block.length, left));
                if (read < 0) {
                    break;
                }
                for (int i = 0; i < read; i++) {
                    lines += block[i] == '\n' ? 1 : 0;
                }
                left -= read;
            }
        }
        return lines;
    }

    @Override
    public void force() {
        if (options.fsync() == FsyncPolicy.NEVER) {
            return;
        }
        FileChannel open = channel;
        if (open != null && forced < length) {
            forceBeforeLeaving(open, file);
            forced = length;
        }
        if (doubtful != null) {
            throw new LedgerException(
                    "records of %s must be forced to the disk, but once that failed: they are there until the machine crashes"
                            .formatted(doubtful));
        }
    }

    private void forceBeforeLeaving(FileChannel open, @Nullable DatedFile of) {
        if (options.fsync() == FsyncPolicy.NEVER || forced == length || of == null) {
            return;
        }
        try {
            open.force(false);
        } catch (IOException failed) {
            // The system may have thrown away what it could not write, and would say nothing of it the next time.
            LOG.warn("could not force {} to the disk", of.path(), failed);
            doubtful = of.path();
        }
    }

    private void leave() {
        close(channel);
        channel = null;
    }

    private static void close(@Nullable FileChannel channel) {
        if (channel != null) {
            try {
                channel.close();
            } catch (IOException nothingToDo) {
                // It is not written any more.
            }
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        FileChannel open = channel;
        if (open != null) {
            forceBeforeLeaving(open, file);
        }
        leave();
        lock.close();
    }
}
