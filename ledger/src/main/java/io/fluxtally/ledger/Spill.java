package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The records that a store could not take, in files of a directory: appended at one end, read back from the other, gone
 * when the store has them.
 *
 * <p>A file is removed when the store has made sure of all its records, so that a process that is killed before leaves it to
 * the next, which gives it to the store again. Files are small for that reason. They are not forced to the disk: they
 * outlast the process, and a flush does not count what is in them as kept.
 *
 * <p>Appending is safe for use by several threads; reading back is for one.
 */
final class Spill implements AutoCloseable {

    /** Half of the keys that a store of files remembers by default, because new records come in between. */
    static final int RECORDS_PER_FILE = 1 << 13;

    private static final Pattern NAME = Pattern.compile("spill-(\\d{1,18})\\.jsonl");

    private final Path directory;
    private final long maxBytes;
    private final DirectoryLock directoryLock;
    private final ReentrantLock lock = new ReentrantLock();

    /** Those to be read, the oldest first; the last may be the one that is appended to. */
    private final Deque<Segment> segments = new ArrayDeque<>();

    private final AtomicLong appended = new AtomicLong();
    private final AtomicLong takenBack = new AtomicLong();
    private final long leftover;
    private long bytes;
    private long lastNumber;
    private boolean closed;
    private @Nullable FileChannel channel;

    /** The file that is read, and what of it was read and is not settled. */
    private @Nullable Reading reading;

    private static final class Segment {

        final Path path;
        long records;
        long length;

        Segment(Path path) {
            this.path = path;
        }
    }

    private static final class Reading {

        final Segment segment;
        final InputStream in;
        final LineScanner lines;
        long left;
        List<RequestUsage> batch = List.of();
        int junk;
        boolean failed;
        boolean hasJunk;

        Reading(Segment segment, InputStream in, boolean failed) {
            this.segment = segment;
            this.in = in;
            this.lines = new LineScanner(in, 0, 0);
            this.left = segment.records;
            this.failed = failed;
        }
    }

    /**
     * Takes a directory, with what an earlier process has left there.
     *
     * @throws LedgerException if another process has it, or it cannot be used
     */
    Spill(Path directory, long maxBytes) {
        this.directory = directory;
        this.maxBytes = maxBytes;
        this.directoryLock = DirectoryLock.take(directory, "spill directory");
        try {
            takeUp();
        } catch (IOException failed) {
            directoryLock.close();
            throw new LedgerException("could not read the spill directory %s: %s".formatted(directory, failed), failed);
        }
        leftover = segments.stream().mapToLong(segment -> segment.records).sum();
    }

    private void takeUp() throws IOException {
        List<Long> numbers = new ArrayList<>();
        try (Stream<Path> entries = Files.list(directory)) {
            entries.forEach(path -> {
                Matcher name = NAME.matcher(String.valueOf(path.getFileName()));
                if (name.matches()) {
                    numbers.add(Long.valueOf(name.group(1)));
                }
            });
        }
        numbers.sort(null);
        for (Long number : numbers) {
            Segment segment = new Segment(file(number));
            try (FileChannel in = FileChannel.open(segment.path, StandardOpenOption.READ)) {
                LineScanner lines = new LineScanner(Channels.newInputStream(in), 0, 0);
                // A last line that a crash has cut was spilled by nobody who lived to count it.
                while (lines.advance() && lines.whole()) {
                    segment.records++;
                }
                segment.length = in.size();
            }
            lastNumber = number;
            if (segment.records == 0) {
                Files.deleteIfExists(segment.path);
            } else {
                bytes += segment.length;
                segments.add(segment);
            }
        }
    }

    private Path file(long number) {
        return directory.resolve("spill-%06d.jsonl".formatted(number));
    }

    /** How many records an earlier process has left. */
    long leftover() {
        return leftover;
    }

    /** How many records came here, those that were left included; ever growing. */
    long appended() {
        return leftover + appended.get();
    }

    /** How many of these are settled, in their order. */
    long takenBack() {
        return takenBack.get();
    }

    boolean isEmpty() {
        return takenBack() == appended();
    }

    /** Appends records, and returns how many of them are not here then, and why. */
    Map<DropReason, Long> append(List<RequestUsage> records) {
        lock.lock();
        try {
            return appendInParts(records);
        } finally {
            lock.unlock();
        }
    }

    /** {@link #append} for one who must not wait for another who appends. */
    Map<DropReason, Long> appendNow(List<RequestUsage> records) {
        if (!lock.tryLock()) {
            return Map.of(DropReason.SPILL_FAILED, (long) records.size());
        }
        try {
            return appendInParts(records);
        } finally {
            lock.unlock();
        }
    }

    /** In parts that a file has room for. */
    private Map<DropReason, Long> appendInParts(List<RequestUsage> records) {
        Map<DropReason, Long> failed = new EnumMap<>(DropReason.class);
        for (int from = 0; from < records.size(); from += RECORDS_PER_FILE) {
            List<RequestUsage> part = records.subList(from, Math.min(from + RECORDS_PER_FILE, records.size()));
            DropReason failure;
            try {
                failure = appendPart(part);
            } catch (Throwable error) {
                LedgerFailures.report("spilling to " + directory, error);
                failure = DropReason.SPILL_FAILED;
            }
            if (failure != null) {
                failed.merge(failure, (long) part.size(), Long::sum);
            }
        }
        return failed;
    }

    /** Appends all of a part or nothing; returns null if it is here, else why not. */
    private @Nullable DropReason appendPart(List<RequestUsage> records) throws IOException {
        if (closed) {
            return DropReason.CLOSED;
        }
        ByteArrayOutputStream lines = new ByteArrayOutputStream(512 * records.size());
        for (RequestUsage record : records) {
            lines.writeBytes(LedgerRecord.bytes(record));
            lines.write('\n');
        }
        if (bytes + lines.size() > maxBytes) {
            return DropReason.SPILL_FULL;
        }
        write(ByteBuffer.wrap(lines.toByteArray()), records.size());
        appended.addAndGet(records.size());
        return null;
    }

    private void write(ByteBuffer lines, int records) throws IOException {
        FileChannel out = channel;
        Segment last = segments.peekLast();
        if (out == null || last == null || last.records + records > RECORDS_PER_FILE) {
            endSegment();
            Segment next = new Segment(file(lastNumber + 1));
            out = LedgerFiles.openForWriting(
                    next.path, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
            lastNumber++;
            channel = out;
            last = next;
            segments.add(next);
        }
        int size = lines.remaining();
        try {
            long end = last.length;
            while (lines.hasRemaining()) {
                end += out.write(lines, end);
            }
        } catch (IOException failed) {
            try {
                out.truncate(last.length);
            } catch (IOException alsoFailed) {
                // What was begun stays at the end of the file, which only counts as far as records were counted.
                failed.addSuppressed(alsoFailed);
                endSegment();
            }
            throw failed;
        }
        last.length += size;
        last.records += records;
        bytes += size;
    }

    private void endSegment() {
        close(channel);
        channel = null;
    }

    /** The oldest records that are not settled, at most so many; the same again until they are. Empty if there are none. */
    List<RequestUsage> peek(int max) {
        Reading current = reading();
        if (current == null) {
            return List.of();
        }
        if (current.batch.isEmpty() && current.junk == 0) {
            read(current, max);
        }
        return current.batch;
    }

    private @Nullable Reading reading() {
        if (reading != null) {
            return reading;
        }
        lock.lock();
        try {
            Segment oldest = segments.peekFirst();
            if (oldest == null || closed) {
                return null;
            }
            if (oldest == segments.peekLast()) {
                endSegment();
            }
            try {
                reading = new Reading(oldest, Files.newInputStream(oldest.path), false);
            } catch (IOException failed) {
                MeasuringFailures.report("reading what was spilled to " + directory, failed);
                reading = new Reading(oldest, InputStream.nullInputStream(), true);
            }
            return reading;
        } finally {
            lock.unlock();
        }
    }

    private void read(Reading current, int max) {
        List<RequestUsage> batch = new ArrayList<>();
        int junk = 0;
        try {
            while (batch.size() + junk < Math.min(max, current.left)) {
                if (!current.lines.advance()) {
                    current.failed = true;
                    junk = (int) Math.min(Integer.MAX_VALUE, current.left - batch.size());
                    break;
                }
                try {
                    batch.add(LedgerRecord.read(
                            current.lines.line(), 0, current.lines.tooLong() ? 0 : current.lines.length()));
                } catch (LedgerRecord.NotARecordException notOne) {
                    junk++;
                    current.hasJunk = true;
                    MeasuringFailures.report(
                            "reading what was spilled",
                            new LedgerException(new LedgerProblem(
                                            current.segment.path,
                                            current.lines.number(),
                                            notOne.kind,
                                            notOne.rule,
                                            notOne.value)
                                    .toString()));
                }
            }
        } catch (IOException failed) {
            MeasuringFailures.report("reading what was spilled to " + directory, failed);
            current.failed = true;
            junk = (int) Math.min(Integer.MAX_VALUE, current.left - batch.size());
        }
        current.batch = batch;
        current.junk = junk;
    }

    /**
     * Says that what was peeked at is settled.
     *
     * @return how many records with it could not be read, and are lost
     */
    int settle() {
        Reading current = reading;
        if (current == null) {
            return 0;
        }
        int junk = current.junk;
        int settled = current.batch.size() + junk;
        current.batch = List.of();
        current.junk = 0;
        current.left -= settled;
        takenBack.addAndGet(settled);
        return junk;
    }

    /** Whether all of the oldest file is settled, so that it can be removed once the store is sure of it. */
    boolean oldestIsDone() {
        Reading current = reading;
        return current != null && current.left == 0;
    }

    /**
     * Removes the oldest file from here, and, if the store is sure of its records, from the disk. One with lines that are no
     * records is put aside under another name; one that could not be read stays for the next process.
     */
    void removeOldest(boolean sure) {
        Reading current = reading;
        if (current == null) {
            return;
        }
        reading = null;
        close(current.in);
        lock.lock();
        try {
            segments.remove(current.segment);
            bytes -= current.segment.length;
            if (closed) {
                // The next who has the directory knows this file already.
                return;
            }
            if (current.hasJunk) {
                Path path = current.segment.path;
                Files.move(path, path.resolveSibling(path.getFileName() + ".unreadable"));
            } else if (sure && !current.failed) {
                Files.deleteIfExists(current.segment.path);
            }
        } catch (IOException failed) {
            MeasuringFailures.report("removing what was spilled to " + directory, failed);
        } finally {
            lock.unlock();
        }
    }

    private static void close(@Nullable Closeable file) {
        if (file != null) {
            try {
                file.close();
            } catch (IOException nothingToDo) {
                // It is not used any more.
            }
        }
    }

    /** {@link #close} for one who must not wait for another who appends, and who closes it when it ends. */
    void closeNow() {
        if (lock.tryLock()) {
            try {
                close();
            } finally {
                lock.unlock();
            }
        }
    }

    /** Gives the directory back, with what is in it. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!closed) {
                closed = true;
                endSegment();
                directoryLock.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
