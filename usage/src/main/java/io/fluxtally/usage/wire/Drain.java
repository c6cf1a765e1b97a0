package io.fluxtally.usage.wire;

import java.time.Duration;
import java.util.Objects;

/**
 * How far a response is read on after the app has left it, so that its final usage still arrives.
 *
 * <p>The app sees nothing of it: its stream ends at its cancel. The provider does: it goes on generating, and bills that,
 * where it would have stopped. Until a response is drained its request is in flight, and its run not complete.
 *
 * @param time how long it is read on at most
 * @param bytes how many bytes of its body are read on at most, as the client decodes them
 * @param atOnce how many responses of one tap are drained at the same time at most; what is left beyond that is cancelled
 *     at once
 */
public record Drain(Duration time, long bytes, int atOnce) {

    /** How many responses are drained at the same time, unless set: 16. */
    public static final int DEFAULT_AT_ONCE = 16;

    /**
     * Checks the limits.
     *
     * @throws IllegalArgumentException if one of them is not positive
     */
    public Drain {
        Objects.requireNonNull(time, "time");
        if (time.isZero() || time.isNegative()) {
            throw new IllegalArgumentException("time must be positive, but is " + time);
        }
        if (bytes <= 0) {
            throw new IllegalArgumentException("bytes must be positive, but is " + bytes);
        }
        if (atOnce <= 0) {
            throw new IllegalArgumentException("atOnce must be positive, but is " + atOnce);
        }
    }

    /**
     * At most so long and so many bytes, {@value #DEFAULT_AT_ONCE} at once.
     *
     * @throws IllegalArgumentException if one of them is not positive
     */
    public static Drain upTo(Duration time, long bytes) {
        return new Drain(time, bytes, DEFAULT_AT_ONCE);
    }

    /**
     * The same with another number of responses at once.
     *
     * @throws IllegalArgumentException if it is not positive
     */
    public Drain atOnce(int responses) {
        return new Drain(time, bytes, responses);
    }
}
