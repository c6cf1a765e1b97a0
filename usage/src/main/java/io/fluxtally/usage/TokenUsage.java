package io.fluxtally.usage;

import java.util.Arrays;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * Token counts of one response, or the sum of several: inclusive input and output, their total, and the parts that were
 * reported.
 *
 * <p>All counts are tokens. A part that no provider reported is absent, which is not zero. The total is what the provider
 * says it is and may exceed input plus output.
 *
 * <p>It is a Spring AI {@link Usage} too: there input is {@code promptTokens} and output is {@code completionTokens}, and
 * counts beyond the range of {@code Integer} read as {@link Integer#MAX_VALUE}.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class TokenUsage implements Usage {

    /** No tokens at all, and no part reported: the identity of {@link #plus}. */
    public static final TokenUsage ZERO = new TokenUsage(0, 0, 0, null);

    private static final long ABSENT = -1;

    private final long inputTokens;
    private final long outputTokens;
    private final long totalTokens;

    /** By the ordinal of {@link TokenPart}, or null when there is no part. Never written after construction. */
    private final long @Nullable [] parts;

    private TokenUsage(long inputTokens, long outputTokens, long totalTokens, long @Nullable [] parts) {
        this.inputTokens = inputTokens;
        this.outputTokens = outputTokens;
        this.totalTokens = totalTokens;
        this.parts = parts;
    }

    /**
     * Token counts without parts, whose total is input plus output.
     *
     * @throws IllegalArgumentException if a count is negative
     */
    public static TokenUsage of(long inputTokens, long outputTokens) {
        return builder().inputTokens(inputTokens).outputTokens(outputTokens).build();
    }

    /** A builder in which nothing is set. */
    public static Builder builder() {
        return new Builder();
    }

    /** Input tokens, cached ones included. */
    public long inputTokens() {
        return inputTokens;
    }

    /** Output tokens, reasoning included. */
    public long outputTokens() {
        return outputTokens;
    }

    /** The total that the provider reported, or input plus output where it reported none. */
    public long totalTokens() {
        return totalTokens;
    }

    /** The tokens of one part, or empty if no provider reported it. */
    public OptionalLong part(TokenPart part) {
        long value = rawPart(part.ordinal());
        return value == ABSENT ? OptionalLong.empty() : OptionalLong.of(value);
    }

    /** Input read from the provider's cache, or empty if not reported. */
    public OptionalLong cacheReadInputTokens() {
        return part(TokenPart.CACHE_READ_INPUT);
    }

    /** Input written to the provider's cache, or empty if not reported. */
    public OptionalLong cacheCreationInputTokens() {
        return part(TokenPart.CACHE_CREATION_INPUT);
    }

    /** Output spent on reasoning, or empty if not reported. */
    public OptionalLong reasoningOutputTokens() {
        return part(TokenPart.REASONING_OUTPUT);
    }

    /**
     * The sum of two usages. A part is absent from the sum only if both lack it, so a part of a sum is a lower bound
     * unless every request reported it: see {@link UsageSum#reportedBy}. A count beyond the range of {@code long}, which
     * only a garbled response can cause, stays at {@link Long#MAX_VALUE}.
     */
    public TokenUsage plus(TokenUsage other) {
        if (other == ZERO) {
            return this;
        }
        if (this == ZERO) {
            return other;
        }
        return new TokenUsage(
                add(inputTokens, other.inputTokens),
                add(outputTokens, other.outputTokens),
                add(totalTokens, other.totalTokens),
                addParts(parts, other.parts));
    }

    private static long @Nullable [] addParts(long @Nullable [] left, long @Nullable [] right) {
        if (left == null) {
            return right;
        }
        if (right == null) {
            return left;
        }
        long[] sum = left.clone();
        for (int i = 0; i < sum.length; i++) {
            if (right[i] != ABSENT) {
                sum[i] = sum[i] == ABSENT ? right[i] : add(sum[i], right[i]);
            }
        }
        return sum;
    }

    private static long add(long left, long right) {
        long sum = left + right;
        return sum < 0 ? Long.MAX_VALUE : sum;
    }

    private long rawPart(int ordinal) {
        return parts == null ? ABSENT : parts[ordinal];
    }

    /** Whether a part was reported, without the detour over an {@code OptionalLong}. */
    boolean hasPart(int ordinal) {
        return rawPart(ordinal) != ABSENT;
    }

    boolean hasParts() {
        return parts != null;
    }

    /** {@link #inputTokens()} under Spring AI's name, at most {@link Integer#MAX_VALUE}. */
    @Override
    public Integer getPromptTokens() {
        return saturated(inputTokens);
    }

    /** {@link #outputTokens()} under Spring AI's name, at most {@link Integer#MAX_VALUE}. */
    @Override
    public Integer getCompletionTokens() {
        return saturated(outputTokens);
    }

    /** {@link #totalTokens()} under Spring AI's name, at most {@link Integer#MAX_VALUE}. */
    @Override
    public Integer getTotalTokens() {
        return saturated(totalTokens);
    }

    /** {@link #cacheReadInputTokens()} as Spring AI 2.0's {@code Usage} asks for it: null when not reported. */
    public @Nullable Long getCacheReadInputTokens() {
        return boxed(TokenPart.CACHE_READ_INPUT);
    }

    /** {@link #cacheCreationInputTokens()} as Spring AI 2.0's {@code Usage} asks for it: null when not reported. */
    public @Nullable Long getCacheWriteInputTokens() {
        return boxed(TokenPart.CACHE_CREATION_INPUT);
    }

    /** This object: a sum has no other native form. */
    @Override
    public Object getNativeUsage() {
        return this;
    }

    private @Nullable Long boxed(TokenPart part) {
        long value = rawPart(part.ordinal());
        return value == ABSENT ? null : Long.valueOf(value);
    }

    private static Integer saturated(long value) {
        return (int) Math.min(value, Integer.MAX_VALUE);
    }

    @Override
    public boolean equals(@Nullable Object o) {
        return o instanceof TokenUsage other
                && inputTokens == other.inputTokens
                && outputTokens == other.outputTokens
                && totalTokens == other.totalTokens
                && Arrays.equals(parts, other.parts);
    }

    @Override
    public int hashCode() {
        return Long.hashCode(inputTokens * 31 + outputTokens) * 31
                + Long.hashCode(totalTokens)
                + Arrays.hashCode(parts);
    }

    /** The counts by their JSON names, absent parts left out. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("TokenUsage[input_tokens=")
                .append(inputTokens)
                .append(", output_tokens=")
                .append(outputTokens)
                .append(", total_tokens=")
                .append(totalTokens);
        for (TokenPart part : TokenPart.values()) {
            if (hasPart(part.ordinal())) {
                text.append(", ").append(part.key()).append('=').append(rawPart(part.ordinal()));
            }
        }
        return text.append(']').toString();
    }

    /** Collects counts for a {@link TokenUsage}. Not safe for use by several threads. */
    public static final class Builder {

        private long inputTokens;
        private long outputTokens;
        private long totalTokens = ABSENT;
        private long @Nullable [] parts;

        private Builder() {}

        /** Sets the inclusive input tokens; 0 unless set. */
        public Builder inputTokens(long tokens) {
            this.inputTokens = nonNegative("inputTokens", tokens);
            return this;
        }

        /** Sets the inclusive output tokens; 0 unless set. */
        public Builder outputTokens(long tokens) {
            this.outputTokens = nonNegative("outputTokens", tokens);
            return this;
        }

        /** Sets the total as the provider reported it; input plus output unless set. */
        public Builder totalTokens(long tokens) {
            this.totalTokens = nonNegative("totalTokens", tokens);
            return this;
        }

        /** Sets a part; absent unless set. */
        public Builder part(TokenPart part, long tokens) {
            long checked = nonNegative(part.property(), tokens);
            long[] values = parts;
            if (values == null) {
                values = new long[TokenPart.COUNT];
                Arrays.fill(values, ABSENT);
                parts = values;
            }
            values[part.ordinal()] = checked;
            return this;
        }

        /**
         * The usage built so far.
         *
         * @throws IllegalArgumentException if a part exceeds the count that it is part of
         */
        public TokenUsage build() {
            long[] values = parts;
            if (values != null) {
                values = values.clone();
                for (TokenPart part : TokenPart.values()) {
                    boolean input = part.side() == TokenPart.Side.INPUT;
                    long whole = input ? inputTokens : outputTokens;
                    if (values[part.ordinal()] > whole) {
                        throw new IllegalArgumentException("%s (%d) is a part of %s (%d) and must not exceed it"
                                .formatted(
                                        part.property(),
                                        values[part.ordinal()],
                                        input ? "inputTokens" : "outputTokens",
                                        whole));
                    }
                }
            }
            long total = totalTokens == ABSENT ? add(inputTokens, outputTokens) : totalTokens;
            return new TokenUsage(inputTokens, outputTokens, total, values);
        }

        private static long nonNegative(String name, long tokens) {
            if (tokens < 0) {
                throw new IllegalArgumentException("%s must not be negative, but is %d".formatted(name, tokens));
            }
            return tokens;
        }
    }
}
