package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.TokenUsage;
import java.util.Arrays;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A number of requests and counts of tokens, each of which may be absent, which is not zero.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class Figures {

    static final long ABSENT = -1;

    /** No figure at all. */
    public static final Figures NONE = new Figures(absent());

    private final long[] values;

    private Figures(long[] values) {
        this.values = values;
    }

    static Figures of(long[] values) {
        return new Figures(values.clone());
    }

    static long[] absent() {
        long[] values = new long[BillField.COUNT];
        Arrays.fill(values, ABSENT);
        return values;
    }

    /**
     * A figure, or empty if it is absent.
     *
     * @throws IllegalArgumentException if the field is no figure
     */
    public OptionalLong get(BillField figure) {
        if (!figure.isFigure()) {
            throw new IllegalArgumentException("must be a figure, but is " + figure);
        }
        long value = values[figure.index()];
        return value == ABSENT ? OptionalLong.empty() : OptionalLong.of(value);
    }

    /** Adds what a usage states to figures. */
    static void add(long[] values, TokenUsage usage) {
        add(values, BillField.INPUT, usage.inputTokens());
        add(values, BillField.OUTPUT, usage.outputTokens());
        add(values, BillField.TOTAL, usage.totalTokens());
        for (BillField figure : BillField.FIGURES) {
            if (figure.part() != null) {
                OptionalLong tokens = usage.part(figure.part());
                if (tokens.isPresent()) {
                    add(values, figure, tokens.getAsLong());
                }
            }
        }
    }

    /** Adds figures to figures: absent and absent is absent, absent and 5 is 5. Stays at the greatest {@code long}. */
    static void add(long[] values, long[] others) {
        for (int i = 0; i < values.length; i++) {
            add(values, i, others[i]);
        }
    }

    static void add(long[] values, BillField figure, long value) {
        add(values, figure.index(), value);
    }

    private static void add(long[] values, int index, long value) {
        if (value != ABSENT) {
            long sum = values[index] == ABSENT ? value : values[index] + value;
            values[index] = sum < 0 ? Long.MAX_VALUE : sum;
        }
    }

    @Override
    public boolean equals(@Nullable Object o) {
        return o instanceof Figures other && Arrays.equals(values, other.values);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(values);
    }

    /** The figures that are there, by their JSON names. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("Figures[");
        for (BillField figure : BillField.FIGURES) {
            if (values[figure.index()] != ABSENT) {
                text.append(text.length() > "Figures[".length() ? ", " : "")
                        .append(figure.key())
                        .append('=')
                        .append(values[figure.index()]);
            }
        }
        return text.append(']').toString();
    }
}
