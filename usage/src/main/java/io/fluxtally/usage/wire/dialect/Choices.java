package io.fluxtally.usage.wire.dialect;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * Which of a response's choices have finished. A choice without an index is the first. Not safe for use by several
 * threads.
 */
final class Choices {

    /** Far above any n that a provider takes; an index beyond it is garbage and is not tracked. */
    private static final int MAX_INDEX = 1024;

    private final BitSet seen = new BitSet();
    private final BitSet finished = new BitSet();

    private int index;
    private boolean finishing;

    /** Begins a choice. */
    void begin() {
        index = 0;
        finishing = false;
    }

    void index(long value) {
        index = (int) Math.max(0, Math.min(value, MAX_INDEX));
    }

    /** Takes a finish reason, or null. */
    void finishReason(@Nullable String reason) {
        finishing = isFinish(reason);
    }

    /** Whether a reason says that the choice is finished. DashScope writes the string {@code "null"} until the last frame. */
    static boolean isFinish(@Nullable String reason) {
        return reason != null && !reason.isEmpty() && !reason.equals("null");
    }

    /** Whether there was no choice yet. */
    boolean isEmpty() {
        return seen.isEmpty();
    }

    /** Ends a choice; returns its index. */
    int end() {
        seen.set(index);
        if (finishing) {
            finished.set(index);
        }
        return index;
    }

    /** Whether there was a choice and every one seen has finished. */
    boolean allFinished() {
        return !seen.isEmpty() && finished.cardinality() == seen.cardinality();
    }
}
