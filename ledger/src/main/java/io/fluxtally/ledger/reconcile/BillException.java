package io.fluxtally.ledger.reconcile;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A bill is not in the format that it is read in. The message has the file, the line, the column, the rule and the value. */
public final class BillException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private static final int MAX_SHOWN = 80;

    private BillException(String message) {
        super(message);
    }

    /** Of a file as a whole. */
    static BillException of(Path file, String rule, String value) {
        return new BillException("%s: %s, but %s".formatted(file, rule, value));
    }

    /** Of a line, from 1. */
    static BillException of(Path file, long line, String rule, String value) {
        return new BillException("%s, line %d: %s, but %s".formatted(file, line, rule, value));
    }

    /** Of a cell. */
    static BillException of(Path file, long line, String column, String rule, @Nullable String value) {
        return new BillException("%s, line %d, column \"%s\": %s, but is %s"
                .formatted(file, line, shown(column), rule, value == null ? "empty" : '"' + shown(value) + '"'));
    }

    /** A text short enough for a message, and of one line. */
    static String shown(String text) {
        String line = text.codePoints()
                .limit(MAX_SHOWN + 1L)
                .map(c -> Character.isISOControl(c) ? ' ' : c)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
        return line.length() > MAX_SHOWN ? line.substring(0, MAX_SHOWN) + "..." : line;
    }
}
