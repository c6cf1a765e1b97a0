package io.fluxtally.boot.ledger;

import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.ledger.FsyncPolicy;
import io.fluxtally.ledger.OverflowPolicy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * Settings of the ledger of booked requests.
 *
 * @param type Where the ledger is kept.
 * @param capacity Number of requests that may wait to be written.
 * @param overflow What to do with requests that cannot be written as fast as they come. By default they are spilled if there is
 *     a directory for it, and else dropped.
 * @param blockLimit Longest time that a thread which books may wait for room, where the overflow is to block.
 * @param closeTimeout Longest time that closing the app may wait for requests to be written.
 * @param spill Settings of the files for what cannot be written.
 * @param jsonl Settings of a ledger of files.
 */
@ConfigurationProperties("fluxtally.ledger")
public record LedgerProperties(
        @DefaultValue("none") Type type,
        @DefaultValue("65536") int capacity,
        @Nullable OverflowPolicy overflow,
        @DefaultValue("100ms") Duration blockLimit,
        @DefaultValue("10s") Duration closeTimeout,
        @DefaultValue Spill spill,
        @DefaultValue Jsonl jsonl) {

    private static final Duration LONGEST = Duration.ofDays(1);

    /** Checks the bounds, and that what belongs together is there together. */
    public LedgerProperties {
        if (capacity < 1 || capacity > 1 << 24) {
            throw new InvalidSettingException("fluxtally.ledger.capacity", "be 1 to 16777216", capacity);
        }
        limited("fluxtally.ledger.block-limit", blockLimit);
        limited("fluxtally.ledger.close-timeout", closeTimeout);
        if (overflow == OverflowPolicy.SPILL && spill.directory() == null) {
            throw new InvalidSettingException(
                    "fluxtally.ledger.spill.directory", "be given where fluxtally.ledger.overflow is spill", null);
        }
        if (overflow != null && overflow != OverflowPolicy.SPILL && spill.directory() != null) {
            throw new InvalidSettingException(
                    "fluxtally.ledger.overflow",
                    "be spill where fluxtally.ledger.spill.directory is given",
                    overflow.name().toLowerCase(Locale.ROOT));
        }
        if (type == Type.JSONL && jsonl.directory() == null) {
            throw new InvalidSettingException(
                    "fluxtally.ledger.jsonl.directory", "be given where fluxtally.ledger.type is jsonl", null);
        }
        if (type == Type.JSONL && spill.directory() != null && isSame(spill.directory(), jsonl.directory())) {
            throw new InvalidSettingException(
                    "fluxtally.ledger.spill.directory",
                    "be another directory than fluxtally.ledger.jsonl.directory",
                    spill.directory());
        }
    }

    private static boolean isSame(Path one, @Nullable Path other) {
        return other != null
                && one.toAbsolutePath()
                        .normalize()
                        .equals(other.toAbsolutePath().normalize());
    }

    private static void limited(String property, Duration value) {
        if (value.isNegative() || value.compareTo(LONGEST) > 0) {
            throw new InvalidSettingException(property, "be 0 to 1 day", value);
        }
    }

    /** Where a ledger is kept. */
    public enum Type {
        /** Nowhere: requests are in memory alone. */
        NONE,
        /** In files of one JSON object a line. */
        JSONL,
        /** In the database of the app. */
        JDBC
    }

    /**
     * Settings of the files for what cannot be written.
     *
     * @param directory Directory of the files, of this process alone. Without one, nothing is spilled.
     * @param maxSize Size that the files may have together.
     */
    public record Spill(
            @Nullable Path directory, @DefaultValue("256MB") DataSize maxSize) {

        /** Checks the size. */
        public Spill {
            InvalidSettingException.atLeast("fluxtally.ledger.spill.max-size", 1, maxSize.toBytes());
        }
    }

    /**
     * Settings of a ledger of files.
     *
     * @param directory Directory of the files, which this process alone writes. It is made if it is not there.
     * @param maxFileSize Size after which the next file is begun. One is begun each day too.
     * @param fsync When requests are forced to the disk.
     */
    public record Jsonl(
            @Nullable Path directory,
            @DefaultValue("64MB") DataSize maxFileSize,
            @DefaultValue("every-batch") FsyncPolicy fsync) {

        /** Checks the size. */
        public Jsonl {
            InvalidSettingException.atLeast("fluxtally.ledger.jsonl.max-file-size", 1, maxFileSize.toBytes());
        }
    }
}
