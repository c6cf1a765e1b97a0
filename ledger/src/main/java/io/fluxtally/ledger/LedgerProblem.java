package io.fluxtally.ledger;

import java.nio.file.Path;

/**
 * A line of a ledger that is no record, or no record to be counted. It was passed over; those before and after it were not.
 *
 * @param file where it is
 * @param line the number of the line, from 1
 * @param kind what is wrong with it
 * @param rule the rule that it breaks
 * @param value what it has instead: a number or an id, never a text out of the line
 */
public record LedgerProblem(Path file, long line, Kind kind, String rule, String value) {

    /** What can be wrong with a line. */
    public enum Kind {
        /** The last line of a file, cut by a crash. */
        TORN,
        /** Not a record at all, or one with a field that breaks a rule. */
        JUNK,
        /** A record of a version later than this reader knows. */
        LATER_VERSION,
        /** A record that was there before. */
        DUPLICATE
    }

    /** The file, the line, the rule and the value, in one line. */
    @Override
    public String toString() {
        return "%s, line %d: %s, but %s".formatted(file, line, rule, value);
    }
}
