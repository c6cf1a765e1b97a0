package io.fluxtally.ledger;

import org.jspecify.annotations.Nullable;

/**
 * A ledger could not be opened, written or read. The message says what was to be done and why it could not be; it holds
 * nothing of a record but ids.
 */
public class LedgerException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final boolean refused;

    /** With what happened. */
    public LedgerException(String message) {
        this(message, null);
    }

    /** With what happened, and what it was caused by. */
    public LedgerException(String message, @Nullable Throwable cause) {
        this(message, cause, false);
    }

    private LedgerException(String message, @Nullable Throwable cause, boolean refused) {
        super(message, cause);
        this.refused = refused;
    }

    /** The store works and refuses a record of the batch: appending it again is of no use. */
    public static LedgerException refused(String message) {
        return new LedgerException(message, null, true);
    }

    /** Whether the store works and refuses a record of the batch. */
    public boolean isRefused() {
        return refused;
    }
}
