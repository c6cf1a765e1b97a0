package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where the records of a ledger are, by a key of theirs: made by {@link LedgerReader#index}. It holds no record; a lookup
 * reads the few lines that it points to.
 *
 * <p>Safe for use by any number of threads.
 */
public final class LedgerIndex {

    private final List<Path> files;
    private final Table table;
    private final Function<? super RequestUsage, @Nullable String> key;

    LedgerIndex(List<Path> files, Table table, Function<? super RequestUsage, @Nullable String> key) {
        this.files = List.copyOf(files);
        this.table = table;
        this.key = key;
    }

    /** How many records have a key. */
    public long size() {
        return table.size;
    }

    /**
     * The last record of a key: where a response was recorded more than once, the last figure is the one that holds.
     *
     * @throws LedgerException if the file cannot be read any more
     */
    public Optional<RequestUsage> find(String value) {
        List<RequestUsage> all = findAll(value);
        return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }

    /**
     * All records of a key, in the order in which they were written.
     *
     * @throws LedgerException if a file cannot be read any more
     */
    public List<RequestUsage> findAll(String value) {
        List<RequestUsage> found = new ArrayList<>();
        for (long place : table.places(value)) {
            RequestUsage record = read(files.get(Table.file(place)), Table.start(place));
            if (value.equals(key.apply(record))) {
                found.add(record);
            }
        }
        return found;
    }

    private static RequestUsage read(Path file, long start) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            InputStream in = Channels.newInputStream(channel.position(start));
            LineScanner lines = new LineScanner(in, start, 0);
            lines.advance();
            return LedgerRecord.read(lines.line(), 0, lines.length());
        } catch (IOException | LedgerRecord.NotARecordException failed) {
            throw new LedgerException(
                    "could not read %s at %d, where a record was: %s".formatted(file, start, failed), failed);
        }
    }

    /** Places by the hash of a key, with open addressing; keys of one hash are told apart by reading them. */
    static final class Table {

        /** A file may have 2^44 bytes, and there may be 2^19 of them. */
        private static final int START_BITS = 44;

        private long[] hashes = new long[1 << 10];

        /** One more than the place, so that 0 is free. */
        private long[] places = new long[1 << 10];

        private int size;

        void add(String key, int file, long start) {
            if (size >= hashes.length / 3 * 2) {
                grow();
            }
            put(hash(key), ((long) file << START_BITS | start) + 1);
            size++;
        }

        private void put(long hash, long place) {
            int mask = hashes.length - 1;
            int at = (int) hash & mask;
            while (places[at] != 0) {
                at = (at + 1) & mask;
            }
            hashes[at] = hash;
            places[at] = place;
        }

        private void grow() {
            long[] oldHashes = hashes;
            long[] oldPlaces = places;
            hashes = new long[oldHashes.length * 2];
            places = new long[hashes.length];
            for (int i = 0; i < oldHashes.length; i++) {
                if (oldPlaces[i] != 0) {
                    put(oldHashes[i], oldPlaces[i]);
                }
            }
        }

        /** The places of a key in their order, and perhaps some of others. */
        long[] places(String key) {
            long hash = hash(key);
            int mask = hashes.length - 1;
            long[] found = new long[4];
            int count = 0;
            for (int at = (int) hash & mask; places[at] != 0; at = (at + 1) & mask) {
                if (hashes[at] == hash) {
                    if (count == found.length) {
                        found = Arrays.copyOf(found, count * 2);
                    }
                    found[count++] = places[at] - 1;
                }
            }
            long[] sorted = Arrays.copyOf(found, count);
            Arrays.sort(sorted);
            return sorted;
        }

        static int file(long place) {
            return (int) (place >>> START_BITS);
        }

        static long start(long place) {
            return place & (1L << START_BITS) - 1;
        }

        /** FNV-1a over the characters, mixed so that the low bits can be used. */
        private static long hash(String key) {
            long hash = 0xcbf29ce484222325L;
            for (int i = 0; i < key.length(); i++) {
                hash = (hash ^ key.charAt(i)) * 0x100000001b3L;
            }
            hash ^= hash >>> 32;
            hash *= 0x9e3779b97f4a7c15L;
            return hash ^ hash >>> 29;
        }
    }
}
