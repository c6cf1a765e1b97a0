package io.fluxtally.ledger.reconcile;

import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Spans of time of one length, such as {@code 15m}, {@code 1h} and {@code 1d}, that begin at midnight of 1970 in a time zone.
 * A day is one of the zone, even one of 23 hours.
 *
 * @param count how many of the units
 * @param unit the unit: {@code s}, {@code m}, {@code h} or {@code d}
 */
public record TimeBucket(int count, char unit) {

    /** An hour. */
    public static final TimeBucket HOUR = new TimeBucket(1, 'h');

    /** A day. */
    public static final TimeBucket DAY = new TimeBucket(1, 'd');

    /** No bill is older or later, and not every calendar goes on. */
    private static final Instant LEAST = Instant.parse("0001-01-01T00:00:00Z");

    private static final Instant MOST = Instant.parse("9999-01-01T00:00:00Z");

    private static final Pattern TEXT = Pattern.compile("([1-9]\\d{0,5})([smhd])");

    /**
     * Checks that it is one.
     *
     * @throws IllegalArgumentException if the count is not positive or the unit none of these
     */
    public TimeBucket {
        if (count < 1 || "smhd".indexOf(unit) < 0) {
            throw wrong(count + String.valueOf(unit));
        }
    }

    /**
     * The buckets of a text such as {@code 1h}.
     *
     * @throws IllegalArgumentException if it is not a number and a unit
     */
    public static TimeBucket of(String text) {
        Matcher parts = TEXT.matcher(text);
        if (!parts.matches()) {
            throw wrong(text);
        }
        return new TimeBucket(Integer.parseInt(parts.group(1)), parts.group(2).charAt(0));
    }

    private static IllegalArgumentException wrong(String text) {
        return new IllegalArgumentException(
                "bucket must be a number and one of s, m, h, d, such as 1h, but is \"%s\"".formatted(text));
    }

    /** When the bucket begins that a time is in; times before the year 1 and after 9998 are in the first and the last. */
    public Instant startOf(Instant any, ZoneId zone) {
        Instant time = any.isBefore(LEAST) ? LEAST : any.isAfter(MOST) ? MOST : any;
        ZonedDateTime there = time.atZone(zone);
        if (unit == 'd') {
            long day = Math.floorDiv(there.toLocalDate().toEpochDay(), count) * (long) count;
            return LocalDate.ofEpochDay(day).atStartOfDay(zone).toInstant();
        }
        long offset = there.getOffset().getTotalSeconds();
        long seconds = length().toSeconds();
        return Instant.ofEpochSecond(Math.floorDiv(time.getEpochSecond() + offset, seconds) * seconds - offset);
    }

    private Duration length() {
        return switch (unit) {
            case 's' -> Duration.ofSeconds(count);
            case 'm' -> Duration.ofMinutes(count);
            default -> Duration.ofHours(count);
        };
    }

    @Override
    public String toString() {
        return count + String.valueOf(unit);
    }
}
