package io.fluxtally.graph.checkpoint;

import org.jspecify.annotations.Nullable;

/** A run could not be saved, or not be taken up again. The message says what was asked and why it could not be. */
public class CheckpointException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** With what happened. */
    public CheckpointException(String message) {
        this(message, null);
    }

    /** With what happened, and what it was caused by. */
    public CheckpointException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
