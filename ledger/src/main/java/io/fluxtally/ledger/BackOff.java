package io.fluxtally.ledger;

import java.time.Duration;

/**
 * Whether a store is down, and when it is to be tried again. Times are those of {@link System#nanoTime()}. Not safe for use by
 * several threads: the ledger's lock guards it.
 */
final class BackOff {

    private final long first;
    private final long max;
    private boolean down;
    private long pause;
    private long nextTry;

    BackOff(Duration first, Duration max) {
        this.max = max.toNanos();
        this.first = Math.min(first.toNanos(), this.max);
    }

    /** Whether the store failed last, however often it was tried. */
    boolean isDown() {
        return down;
    }

    /** Whether the store is down and not to be tried yet. */
    boolean isResting(long now) {
        return down && untilNextTry(now) > 0;
    }

    /** How many nanoseconds are left until the next try; negative if it is due. */
    long untilNextTry(long now) {
        return nextTry - now;
    }

    /** Lets the next try be due now: who flushes or closes does not want to wait for the time that is left. */
    void tryNow(long now) {
        nextTry = now;
    }

    /** Lets a store that is not down yet rest after a number of tries, each time twice as long. */
    void restAfter(int tries, long now) {
        long rest = first > max >> Math.min(tries, 40) ? max : first << tries;
        nextTry = now + rest;
    }

    /** Marks the store as down, and returns whether it was not. */
    boolean failed(long now) {
        boolean isNew = !down;
        pause = isNew ? first : Math.min(Math.max(pause * 2, 1), max);
        down = true;
        nextTry = now + pause;
        return isNew;
    }

    /** Marks the store as not down, and returns whether it was. */
    boolean worked() {
        boolean wasDown = down;
        down = false;
        return wasDown;
    }
}
