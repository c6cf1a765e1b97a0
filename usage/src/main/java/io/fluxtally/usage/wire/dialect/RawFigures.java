package io.fluxtally.usage.wire.dialect;

import java.util.Arrays;

/**
 * Figures as a provider reports them, by their place in a dialect's list, for a dialect that has to normalise them.
 * Not safe for use by several threads.
 */
final class RawFigures {

    private static final long ABSENT = -1;

    private final long[] figures;

    /** So many figures, none of which is there yet. */
    RawFigures(int count) {
        figures = new long[count];
        clear();
    }

    /** Forgets all figures. */
    void clear() {
        Arrays.fill(figures, ABSENT);
    }

    /** Sets a figure; one that is negative changes nothing. */
    void set(int index, long tokens) {
        if (tokens >= 0) {
            figures[index] = tokens;
        }
    }

    /** A figure, or -1 if it is not there. */
    long get(int index) {
        return figures[index];
    }

    /** Adds other figures to these; what neither has stays away. */
    void add(RawFigures more) {
        for (int i = 0; i < figures.length; i++) {
            figures[i] = UsageFigures.plus(figures[i], more.figures[i]);
        }
    }

    /** Takes what a later event says; what it leaves out stays. Returns whether it says anything. */
    boolean takeLater(RawFigures later) {
        boolean any = false;
        for (int i = 0; i < figures.length; i++) {
            set(i, later.figures[i]);
            any |= later.figures[i] >= 0;
        }
        return any;
    }
}
