package io.fluxtally.ledger.cost;

import org.jspecify.annotations.Nullable;

/**
 * A file that is not a price book, and why: the message names the file, the line, the key, the rule and the value, as in
 * {@code prices.yaml:7: prices[0].input must be a decimal number, but is "free"}.
 */
public final class PriceBookException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String file;
    private final int line;
    private final String key;

    PriceBookException(String file, int line, String key, String rule, @Nullable Throwable cause) {
        super((line > 0 ? file + ":" + line + ": " : file + ": ") + key + " " + rule, cause);
        this.file = file;
        this.line = line;
        this.key = key;
    }

    /** The file as the caller named it. */
    public String file() {
        return file;
    }

    /** The line, counted from 1; 0 when the file as a whole is at fault (it cannot be read, it is too long). */
    public int line() {
        return line;
    }

    /** Where in the file, such as {@code prices[0].tiers[1].input}. */
    public String key() {
        return key;
    }
}
