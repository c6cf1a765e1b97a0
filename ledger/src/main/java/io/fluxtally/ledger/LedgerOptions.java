package io.fluxtally.ledger;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How a {@link UsageLedger} queues and writes: {@code LedgerOptions.spillingTo(directory).withCapacity(50_000)}.
 *
 * <p>Immutable.
 *
 * @param overflow what to do with what the store cannot take
 * @param spillDirectory the directory of the spill files, of this ledger alone; null exactly if overflow is not SPILL
 * @param maxSpillBytes how large the spill files may be together
 * @param blockLimit how long the thread that books may wait for room; only for BLOCK
 * @param capacity how many requests the queue has room for
 * @param batchSize how many records are appended to the store at once, at most
 * @param linger how long a record may wait for others to be appended with
 * @param retries how often a batch that failed is tried again
 * @param firstBackOff how long to wait before it is tried again; it doubles each time
 * @param maxBackOff how long to wait at most
 */
public record LedgerOptions(
        OverflowPolicy overflow,
        @Nullable Path spillDirectory,
        long maxSpillBytes,
        Duration blockLimit,
        int capacity,
        int batchSize,
        Duration linger,
        int retries,
        Duration firstBackOff,
        Duration maxBackOff) {

    private static final LedgerOptions DEFAULTS = new LedgerOptions(
            OverflowPolicy.DROP,
            null,
            256L << 20,
            Duration.ofMillis(100),
            1 << 16,
            256,
            Duration.ofSeconds(1),
            3,
            Duration.ofMillis(100),
            Duration.ofSeconds(5));

    /**
     * Checks the options.
     *
     * @throws IllegalArgumentException if a number or time is out of its range, or a spill directory is given without the
     *     policy for it or the other way round
     */
    public LedgerOptions {
        if ((overflow == OverflowPolicy.SPILL) != (spillDirectory != null)) {
            throw new IllegalArgumentException(
                    "spillDirectory must be given exactly if overflow is SPILL, but overflow is " + overflow
                            + " and spillDirectory is " + spillDirectory);
        }
        check("maxSpillBytes", maxSpillBytes, 1);
        check("capacity", capacity, 1);
        check("batchSize", batchSize, 1);
        check("retries", retries, 0);
        check("blockLimit", blockLimit);
        check("linger", linger);
        check("firstBackOff", firstBackOff);
        check("maxBackOff", maxBackOff);
    }

    private static void check(String name, long value, long least) {
        if (value < least) {
            throw new IllegalArgumentException("%s must be %d or more, but is %d".formatted(name, least, value));
        }
    }

    private static void check(String name, Duration value) {
        if (value.isNegative() || value.compareTo(Duration.ofDays(1)) > 0) {
            throw new IllegalArgumentException("%s must be from 0 to 1 day, but is %s".formatted(name, value));
        }
    }

    /** Spills to the given directory. It is made if it is not there. */
    public static LedgerOptions spillingTo(Path directory) {
        LedgerOptions it = DEFAULTS;
        return new LedgerOptions(
                OverflowPolicy.SPILL,
                directory,
                it.maxSpillBytes,
                it.blockLimit,
                it.capacity,
                it.batchSize,
                it.linger,
                it.retries,
                it.firstBackOff,
                it.maxBackOff);
    }

    /** Lets the thread that books wait for room, at most so long. Not for threads that must not block. */
    public static LedgerOptions blocking(Duration limit) {
        LedgerOptions it = DEFAULTS;
        return new LedgerOptions(
                OverflowPolicy.BLOCK,
                null,
                it.maxSpillBytes,
                limit,
                it.capacity,
                it.batchSize,
                it.linger,
                it.retries,
                it.firstBackOff,
                it.maxBackOff);
    }

    /** Drops and counts what there is no room for. */
    public static LedgerOptions dropping() {
        return DEFAULTS;
    }

    /** The same with spill files of at most this size together. */
    public LedgerOptions withMaxSpillBytes(long value) {
        return new LedgerOptions(
                overflow,
                spillDirectory,
                value,
                blockLimit,
                capacity,
                batchSize,
                linger,
                retries,
                firstBackOff,
                maxBackOff);
    }

    /** The same with room for so many requests in the queue. */
    public LedgerOptions withCapacity(int value) {
        return new LedgerOptions(
                overflow,
                spillDirectory,
                maxSpillBytes,
                blockLimit,
                value,
                batchSize,
                linger,
                retries,
                firstBackOff,
                maxBackOff);
    }

    /** The same with batches of at most so many records. */
    public LedgerOptions withBatchSize(int value) {
        return new LedgerOptions(
                overflow,
                spillDirectory,
                maxSpillBytes,
                blockLimit,
                capacity,
                value,
                linger,
                retries,
                firstBackOff,
                maxBackOff);
    }

    /** The same with another time for records to wait for others. */
    public LedgerOptions withLinger(Duration value) {
        return new LedgerOptions(
                overflow,
                spillDirectory,
                maxSpillBytes,
                blockLimit,
                capacity,
                batchSize,
                value,
                retries,
                firstBackOff,
                maxBackOff);
    }

    /** The same with other tries of a batch that failed. */
    public LedgerOptions withRetries(int count, Duration first, Duration max) {
        return new LedgerOptions(
                overflow, spillDirectory, maxSpillBytes, blockLimit, capacity, batchSize, linger, count, first, max);
    }
}
