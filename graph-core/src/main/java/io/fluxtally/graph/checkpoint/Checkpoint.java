package io.fluxtally.graph.checkpoint;

import java.time.Instant;
import java.util.Objects;

/**
 * A run as it was saved at one moment: where it stood, its state, and what it had used.
 *
 * <p>The document holds the state, and so whatever the app keeps in it, prompts and answers among it.
 *
 * @param threadId the thread that it is saved in
 * @param number its number in the thread, from 1, each one more than the last
 * @param status what the run did when it was saved
 * @param savedAt when it was saved
 * @param document all of it, as versioned JSON
 */
public record Checkpoint(String threadId, long number, Status status, Instant savedAt, String document) {

    /** What a run did when it was saved. */
    public enum Status {
        /** It went on. If this is the last checkpoint, the run goes on now, or its process has died. */
        RUNNING,
        /** It waits to be resumed. */
        INTERRUPTED,
        /** It failed. Resumed, it tries again what failed. */
        FAILED,
        /** Its subscriber left. Resumed, it tries again what was cut off. */
        CANCELLED,
        /** It came to its end. */
        ENDED,
        /** It was copied here from another thread, and has not been resumed here. */
        FORKED
    }

    /**
     * Checks that nothing is lacking.
     *
     * @throws IllegalArgumentException if the thread id is blank or the number less than 1
     */
    public Checkpoint {
        Objects.requireNonNull(status, "status");
        Objects.requireNonNull(savedAt, "savedAt");
        Objects.requireNonNull(document, "document");
        if (threadId.isBlank()) {
            throw new IllegalArgumentException("threadId must not be blank, but is \"%s\"".formatted(threadId));
        }
        if (number < 1) {
            throw new IllegalArgumentException("number must be 1 or more, but is " + number);
        }
    }

    /** Where it is, and not what is in it. */
    @Override
    public String toString() {
        return "Checkpoint[threadId=%s, number=%d, status=%s, savedAt=%s]".formatted(threadId, number, status, savedAt);
    }
}
