package io.fluxtally.ledger.reconcile;

import io.fluxtally.ledger.LedgerException;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInput;
import java.io.DataInputStream;
import java.io.DataOutput;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Groups entries by a key, any number of entries in the memory of a bounded number of keys: entries go into partitions by a
 * hash of their key, a partition that grows goes on in a file, and groups are made one partition after the other. A partition
 * of too many keys is parted again, by another hash.
 *
 * <p>Not safe for use by several threads.
 *
 * @param <E> the entries
 */
final class SpilledGroups<E> {

    /** How an entry is written and read again. */
    interface Codec<E> {

        void write(E entry, DataOutput out) throws IOException;

        E read(DataInput in) throws IOException;
    }

    /** How many keys are in memory at a time. */
    static final int MAX_KEYS = 1 << 14;

    private static final int PARTITIONS = 128;
    private static final int BUFFER = 1 << 13;

    /** After so many partings with as many hashes the keys cannot be told apart: then they are taken as they are. */
    private static final int MAX_DEPTH = 6;

    private final SpillDirectory directory;
    private final Codec<E> codec;
    private final int maxKeys;
    private final int depth;
    private final Map<Integer, Partition> partitions = new HashMap<>();

    SpilledGroups(SpillDirectory directory, Codec<E> codec) {
        this(directory, codec, MAX_KEYS);
    }

    SpilledGroups(SpillDirectory directory, Codec<E> codec, int maxKeys) {
        this(directory, codec, maxKeys, 0);
    }

    private SpilledGroups(SpillDirectory directory, Codec<E> codec, int maxKeys, int depth) {
        this.directory = directory;
        this.codec = codec;
        this.maxKeys = maxKeys;
        this.depth = depth;
    }

    private static final class Partition {

        private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(256);
        private final DataOutputStream out = new DataOutputStream(buffer);
        private @Nullable Path file;
        private long entries;
    }

    /** Adds an entry to the group of a key. */
    void add(String key, E entry) {
        Partition partition = partitions.computeIfAbsent(partitionOf(key), number -> new Partition());
        try {
            writeText(key, partition.out);
            codec.write(entry, partition.out);
            partition.entries++;
            if (partition.buffer.size() >= BUFFER) {
                Path file = partition.file;
                if (file == null) {
                    file = directory.newFile();
                    partition.file = file;
                }
                SpillDirectory.append(file, partition.buffer.toByteArray(), partition.buffer.size());
                partition.buffer.reset();
            }
        } catch (IOException failed) {
            throw new LedgerException("could not write a file in between: " + failed, failed);
        }
    }

    private int partitionOf(String key) {
        // Another hash at each depth, so that what came together once does not come together again.
        long hash = 0xcbf29ce484222325L + depth * 0x9e3779b97f4a7c15L;
        for (int i = 0; i < key.length(); i++) {
            hash = (hash ^ key.charAt(i)) * 0x100000001b3L;
            hash ^= hash >>> 29;
        }
        hash *= 0xbf58476d1ce4e5b9L;
        return (int) ((hash >>> 32) & (PARTITIONS - 1));
    }

    /**
     * Makes the groups, and hands over each once, in no order. Entries of a group come in the order in which they were added.
     * Afterwards this is empty.
     *
     * @param fresh makes the result of a group without entries
     * @param fold adds an entry to a result
     * @param done takes the key and the result of each group
     */
    <A> void forEachGroup(Supplier<A> fresh, BiConsumer<A, E> fold, BiConsumer<String, A> done) {
        try {
            for (int number = 0; number < PARTITIONS; number++) {
                Partition partition = partitions.remove(number);
                if (partition != null) {
                    group(partition, fresh, fold, done);
                    if (partition.file != null) {
                        Files.deleteIfExists(partition.file);
                    }
                }
            }
        } catch (IOException failed) {
            throw new LedgerException("could not read a file in between: " + failed, failed);
        }
    }

    private <A> void group(Partition partition, Supplier<A> fresh, BiConsumer<A, E> fold, BiConsumer<String, A> done)
            throws IOException {
        Map<String, A> groups = new HashMap<>();
        boolean tooMany = false;
        try (DataInputStream in = open(partition)) {
            for (long i = 0; i < partition.entries && !tooMany; i++) {
                String key = readText(in);
                fold.accept(groups.computeIfAbsent(key, ignored -> fresh.get()), codec.read(in));
                tooMany = groups.size() > maxKeys && depth < MAX_DEPTH;
            }
        }
        if (tooMany) {
            groups.clear();
            SpilledGroups<E> parts = new SpilledGroups<>(directory, codec, maxKeys, depth + 1);
            try (DataInputStream in = open(partition)) {
                for (long i = 0; i < partition.entries; i++) {
                    parts.add(readText(in), codec.read(in));
                }
            }
            parts.forEachGroup(fresh, fold, done);
        } else {
            groups.forEach(done);
        }
    }

    /** Writes a text, so that any text comes back as it was. */
    static void writeText(String text, DataOutput out) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        // UTF-8 has no form for half a surrogate pair, which an id may hold all the same.
        boolean whole = text.equals(new String(bytes, StandardCharsets.UTF_8));
        out.writeInt(whole ? bytes.length : -text.length());
        if (whole) {
            out.write(bytes);
        } else {
            out.writeChars(text);
        }
    }

    static String readText(DataInput in) throws IOException {
        int length = in.readInt();
        if (length < 0) {
            char[] chars = new char[-length];
            for (int i = 0; i < chars.length; i++) {
                chars[i] = in.readChar();
            }
            return new String(chars);
        }
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static DataInputStream open(Partition partition) throws IOException {
        InputStream rest = new ByteArrayInputStream(partition.buffer.toByteArray());
        return new DataInputStream(
                partition.file == null
                        ? rest
                        : new SequenceInputStream(
                                new BufferedInputStream(Files.newInputStream(partition.file), 1 << 16), rest));
    }
}
