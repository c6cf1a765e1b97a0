package io.fluxtally.ledger.cost;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Prices of one token of each kind. A part without a price of its own costs what the rest of its side costs.
 *
 * @param input of input that is in no other part
 * @param cacheRead of input read from the cache, or null
 * @param cacheCreation of input written to the cache, or null
 * @param output of output
 * @param reasoning of output spent on reasoning, or null
 * @param outputWhenReasoning of all output of a request that has reasoning, or null
 */
record Prices(
        BigDecimal input,
        @Nullable BigDecimal cacheRead,
        @Nullable BigDecimal cacheCreation,
        BigDecimal output,
        @Nullable BigDecimal reasoning,
        @Nullable BigDecimal outputWhenReasoning) {

    /** The least and the most that something costs. */
    record Range(BigDecimal least, BigDecimal most) {

        private Range plus(Range other) {
            return new Range(least.add(other.least), most.add(other.most));
        }

        private static Range times(long tokens, List<BigDecimal> prices) {
            BigDecimal least = prices.stream().reduce(BigDecimal::min).orElseThrow();
            BigDecimal most = prices.stream().reduce(BigDecimal::max).orElseThrow();
            BigDecimal count = BigDecimal.valueOf(tokens);
            return new Range(least.multiply(count), most.multiply(count));
        }
    }

    /**
     * What a usage costs, or null if its parts are together more than what they are parts of.
     *
     * @param absentIsZero the parts that are 0 where they are not reported
     */
    @Nullable
    Range costOf(TokenUsage usage, Set<TokenPart> absentIsZero) {
        Range in = inputCost(usage, absentIsZero);
        return in == null ? null : in.plus(outputCost(usage, absentIsZero));
    }

    private @Nullable Range inputCost(TokenUsage usage, Set<TokenPart> absentIsZero) {
        long rest = usage.inputTokens();
        Range cost = new Range(BigDecimal.ZERO, BigDecimal.ZERO);
        // Tokens of a part that was not reported may be any of those that are left, at their price or at that of the
        // rest.
        List<BigDecimal> ofRest = new ArrayList<>(List.of(input));
        for (TokenPart part : List.of(TokenPart.CACHE_READ_INPUT, TokenPart.CACHE_CREATION_INPUT)) {
            BigDecimal price = part == TokenPart.CACHE_READ_INPUT ? cacheRead : cacheCreation;
            if (price == null) {
                continue;
            }
            OptionalLong tokens = part(usage, part, absentIsZero);
            if (tokens.isPresent()) {
                rest -= tokens.getAsLong();
                cost = cost.plus(Range.times(tokens.getAsLong(), List.of(price)));
            } else {
                ofRest.add(price);
            }
        }
        return rest < 0 ? null : cost.plus(Range.times(rest, ofRest));
    }

    private Range outputCost(TokenUsage usage, Set<TokenPart> absentIsZero) {
        BigDecimal price = outputWhenReasoning != null ? outputWhenReasoning : reasoning;
        long all = usage.outputTokens();
        if (price == null) {
            return Range.times(all, List.of(output));
        }
        OptionalLong reasoned = part(usage, TokenPart.REASONING_OUTPUT, absentIsZero);
        if (reasoned.isEmpty()) {
            return Range.times(all, List.of(output, price));
        }
        if (outputWhenReasoning != null) {
            return Range.times(all, List.of(reasoned.getAsLong() > 0 ? outputWhenReasoning : output));
        }
        return Range.times(reasoned.getAsLong(), List.of(price))
                .plus(Range.times(all - reasoned.getAsLong(), List.of(output)));
    }

    private static OptionalLong part(TokenUsage usage, TokenPart part, Set<TokenPart> absentIsZero) {
        OptionalLong reported = usage.part(part);
        return reported.isEmpty() && absentIsZero.contains(part) ? OptionalLong.of(0) : reported;
    }
}
