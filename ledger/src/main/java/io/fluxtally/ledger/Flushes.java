package io.fluxtally.ledger;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/** Those who wait for a flush. Not safe for use by several threads: the ledger's lock guards it. */
final class Flushes {

    private final List<Flush> waiting = new ArrayList<>();

    /** Somebody who waits for all requests before a position to be in the store. */
    static final class Flush {

        private final long target;

        /** Up to where the spill must be settled; known when nothing before the target is on its way there any more. */
        private long spillMark = -1;

        private boolean done;
        private boolean forced;

        Flush(long target) {
            this.target = target;
        }

        /** Before which position requests are waited for. */
        long target() {
            return target;
        }

        /** Whether all of them are in the store, or counted. */
        boolean isDone() {
            return done;
        }

        /** Whether what is in the store then is there to stay. */
        boolean isForced() {
            return forced;
        }

        void answer(boolean isForced) {
            forced = isForced;
            done = true;
        }
    }

    void add(Flush flush) {
        waiting.add(flush);
    }

    void remove(Flush flush) {
        waiting.remove(flush);
    }

    boolean isEmpty() {
        return waiting.isEmpty();
    }

    /**
     * Those that can be answered.
     *
     * @param isOut whether no request before a position is queued or in hand any more
     * @param spill where some of these may be, or null if nothing is spilled
     */
    List<Flush> answerable(LongPredicate isOut, @Nullable Spill spill) {
        List<Flush> answerable = new ArrayList<>();
        for (Flush flush : waiting) {
            if (!flush.done && isOut.test(flush.target) && (spill == null || isSettled(flush, spill))) {
                answerable.add(flush);
            }
        }
        return answerable;
    }

    private static boolean isSettled(Flush flush, Spill spill) {
        if (flush.spillMark < 0) {
            flush.spillMark = spill.appended();
        }
        return spill.takenBack() >= flush.spillMark;
    }
}
