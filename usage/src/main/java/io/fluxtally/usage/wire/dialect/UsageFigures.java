package io.fluxtally.usage.wire.dialect;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The figures of one response as they are read, the last of each field winning. Not safe for use by several threads.
 *
 * <p>A figure that is null, negative or not a number in the JSON is as if it were not there.
 */
public final class UsageFigures {

    private static final long ABSENT = -1;

    private long input = ABSENT;
    private long output = ABSENT;
    private long total = ABSENT;
    private final long[] parts = new long[TokenPart.values().length];

    /** No figures yet. */
    public UsageFigures() {
        Arrays.fill(parts, ABSENT);
    }

    /** The number the parser stands at, or -1 if it is none that can be a token count: negative, broken, too large. */
    public static long tokens(JsonParser value) throws IOException {
        JsonToken token = value.currentToken();
        if (token != JsonToken.VALUE_NUMBER_INT && token != JsonToken.VALUE_NUMBER_FLOAT) {
            return ABSENT;
        }
        double size = value.getDoubleValue();
        return size < 0 || size >= Long.MAX_VALUE || size != Math.rint(size) ? ABSENT : value.getLongValue();
    }

    /** Takes the inclusive input tokens. */
    public void input(long tokens) {
        input = tokens < 0 ? input : tokens;
    }

    /** Takes the inclusive output tokens. */
    public void output(long tokens) {
        output = tokens < 0 ? output : tokens;
    }

    /** Takes the total. */
    public void total(long tokens) {
        total = tokens < 0 ? total : tokens;
    }

    /** Takes a part. */
    public void part(TokenPart part, long tokens) {
        if (tokens >= 0) {
            parts[part.ordinal()] = tokens;
        }
    }

    /** Takes a part unless it is there already: for a field that only repeats another, less exactly. */
    public void partIfAbsent(TokenPart part, long tokens) {
        if (parts[part.ordinal()] == ABSENT) {
            part(part, tokens);
        }
    }

    /**
     * Fills in an inclusive count that was not reported with the sum of its text, image, audio and video, where those
     * were: some DashScope models report nothing else.
     */
    public void countFromModalities() {
        input(input != ABSENT ? input : sum(TokenPart.TEXT_INPUT, TokenPart.VIDEO_INPUT));
        output(output != ABSENT ? output : sum(TokenPart.TEXT_OUTPUT, TokenPart.VIDEO_OUTPUT));
    }

    /**
     * Adds the reasoning to the output if it is beside it, for a family whose members differ in that: the total says so, or
     * where there is none, that the reasoning exceeds the output.
     */
    public void addReasoningBesideOutput() {
        long reasoning = parts[TokenPart.REASONING_OUTPUT.ordinal()];
        if (reasoning <= 0 || output == ABSENT) {
            return;
        }
        long inclusive = plus(output, reasoning);
        if (total == ABSENT ? reasoning > output : total == plus(input, inclusive)) {
            output = inclusive;
        }
    }

    private long sum(TokenPart first, TokenPart last) {
        long sum = ABSENT;
        for (int i = first.ordinal(); i <= last.ordinal(); i++) {
            sum = plus(sum, parts[i]);
        }
        return sum;
    }

    /** Takes what a later event of the same response says; what it leaves out stays. */
    public void takeLater(UsageFigures later) {
        input(later.input);
        output(later.output);
        total(later.total);
        for (TokenPart part : TokenPart.values()) {
            part(part, later.parts[part.ordinal()]);
        }
    }

    /** Adds another choice's output to this one's; the input is the same for both. */
    public void addOutput(UsageFigures choice) {
        output = plus(output, choice.output);
        total = ABSENT;
        for (TokenPart part : TokenPart.values()) {
            int i = part.ordinal();
            if (part.side() == TokenPart.Side.OUTPUT) {
                parts[i] = plus(parts[i], choice.parts[i]);
            }
        }
    }

    /** The sum of two counts, either of which may be absent; beyond the range of {@code long} it stays at its end. */
    static long plus(long left, long right) {
        if (left == ABSENT || right == ABSENT) {
            return Math.max(left, right);
        }
        long sum = left + right;
        return sum < 0 ? Long.MAX_VALUE : sum;
    }

    /** Whether both inclusive counts were read; a figure of one of them only is a lower bound. */
    public boolean isWhole() {
        return input != ABSENT && output != ABSENT;
    }

    /** Whether no figure was read yet. */
    public boolean isEmpty() {
        return input == ABSENT
                && output == ABSENT
                && total == ABSENT
                && Arrays.stream(parts).allMatch(tokens -> tokens == ABSENT);
    }

    /**
     * The figures as a value, or null if there are none. A part greater than its whole contradicts it and is left out.
     */
    public @Nullable TokenUsage toUsage() {
        if (isEmpty()) {
            return null;
        }
        long in = Math.max(input, 0);
        long out = Math.max(output, 0);
        TokenUsage.Builder usage = TokenUsage.builder().inputTokens(in).outputTokens(out);
        if (total != ABSENT) {
            usage.totalTokens(total);
        }
        for (TokenPart part : TokenPart.values()) {
            long tokens = parts[part.ordinal()];
            if (tokens != ABSENT && tokens <= (part.side() == TokenPart.Side.INPUT ? in : out)) {
                usage.part(part, tokens);
            }
        }
        return usage.build();
    }
}
