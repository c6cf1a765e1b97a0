package io.fluxtally.ledger;

import java.time.InstantSource;

/**
 * How a {@link JsonlLedgerStore} writes: {@code JsonlOptions.DEFAULTS.withMaxFileBytes(16 << 20)}.
 *
 * <p>Immutable.
 *
 * @param fsync when records are forced to the disk
 * @param maxFileBytes the size after which a new file is begun
 * @param rememberedKeys of how many of the last records the keys are remembered, so that they are not written again
 * @param clock tells the day, in UTC, that a file is named after
 */
public record JsonlOptions(FsyncPolicy fsync, long maxFileBytes, int rememberedKeys, InstantSource clock) {

    /** Forces every batch; files of 64 MiB; 32,768 keys. */
    public static final JsonlOptions DEFAULTS =
            new JsonlOptions(FsyncPolicy.EVERY_BATCH, 64L << 20, 1 << 15, InstantSource.system());

    /**
     * Checks the options.
     *
     * @throws IllegalArgumentException if a number is less than 1
     */
    public JsonlOptions {
        if (maxFileBytes < 1) {
            throw new IllegalArgumentException("maxFileBytes must be 1 or more, but is " + maxFileBytes);
        }
        if (rememberedKeys < 1) {
            throw new IllegalArgumentException("rememberedKeys must be 1 or more, but is " + rememberedKeys);
        }
    }

    /** The same with another policy. */
    public JsonlOptions withFsync(FsyncPolicy value) {
        return new JsonlOptions(value, maxFileBytes, rememberedKeys, clock);
    }

    /** The same with another size of files. */
    public JsonlOptions withMaxFileBytes(long value) {
        return new JsonlOptions(fsync, value, rememberedKeys, clock);
    }

    /** The same with another number of remembered keys. */
    public JsonlOptions withRememberedKeys(int value) {
        return new JsonlOptions(fsync, maxFileBytes, value, clock);
    }

    /** The same with another clock. */
    public JsonlOptions withClock(InstantSource value) {
        return new JsonlOptions(fsync, maxFileBytes, rememberedKeys, value);
    }
}
