package io.fluxtally.ledger;

import java.time.Instant;
import java.time.LocalDate;

/** Times as a ledger compares and groups them. */
public final class LedgerTime {

    private static final Instant LEAST = Instant.ofEpochMilli(Long.MIN_VALUE);
    private static final Instant MOST = Instant.ofEpochMilli(Long.MAX_VALUE);

    private static final long SECONDS_PER_DAY = 86_400;

    private LedgerTime() {}

    /** Milliseconds since 1970, rounded down; the least or greatest {@code long} for times beyond. */
    public static long millis(Instant time) {
        if (time.isBefore(LEAST)) {
            return Long.MIN_VALUE;
        }
        return time.isAfter(MOST) ? Long.MAX_VALUE : time.toEpochMilli();
    }

    /** The day of a time in UTC, as ISO 8601 has it; the first or last {@link LocalDate} for times beyond. */
    public static String day(Instant time) {
        long day = Math.floorDiv(time.getEpochSecond(), SECONDS_PER_DAY);
        return LocalDate.ofEpochDay(Math.max(LocalDate.MIN.toEpochDay(), Math.min(day, LocalDate.MAX.toEpochDay())))
                .toString();
    }
}
