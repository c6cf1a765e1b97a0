package io.fluxtally.ledger.cost;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What some requests cost together, by currency: no two currencies are ever added. Amounts are exact: nothing is rounded, so
 * that who shows one rounds it once, at the end.
 *
 * <p>A request whose cost is unknown is in no amount; it is counted, and makes every amount a lower bound.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class CostSum {

    /** The cost of no request. */
    public static final CostSum EMPTY = new CostSum(Map.of(), Map.of(), Set.of(), new long[CostGrade.values().length]);

    private final Map<String, BigDecimal> atLeast;
    private final Map<String, BigDecimal> atMost;

    /** The currencies of requests that may cost any amount more. */
    private final Set<String> open;

    /** By the ordinal of {@link CostGrade}. Never written after construction. */
    private final long[] counts;

    private CostSum(Map<String, BigDecimal> atLeast, Map<String, BigDecimal> atMost, Set<String> open, long[] counts) {
        this.atLeast = atLeast;
        this.atMost = atMost;
        this.open = open;
        this.counts = counts;
    }

    /** This sum with one more request. */
    public CostSum plus(RequestCost cost) {
        long[] more = counts.clone();
        more[cost.grade().ordinal()]++;
        String currency = cost.currency();
        if (currency == null) {
            return new CostSum(atLeast, atMost, open, more);
        }
        Set<String> openToo = open;
        if (cost.atMost() == null && !open.contains(currency)) {
            openToo = new TreeSet<>(open);
            openToo.add(currency);
        }
        return new CostSum(
                added(atLeast, currency, cost.atLeast()), added(atMost, currency, cost.atMost()), openToo, more);
    }

    /** The sum of two sums over different requests. */
    public CostSum plus(CostSum other) {
        long[] more = counts.clone();
        for (int i = 0; i < more.length; i++) {
            more[i] += other.counts[i];
        }
        Map<String, BigDecimal> least = atLeast;
        for (Map.Entry<String, BigDecimal> amount : other.atLeast.entrySet()) {
            least = added(least, amount.getKey(), amount.getValue());
        }
        Map<String, BigDecimal> most = atMost;
        for (Map.Entry<String, BigDecimal> amount : other.atMost.entrySet()) {
            most = added(most, amount.getKey(), amount.getValue());
        }
        Set<String> openToo = new TreeSet<>(open);
        openToo.addAll(other.open);
        return new CostSum(least, most, openToo, more);
    }

    private static Map<String, BigDecimal> added(
            Map<String, BigDecimal> amounts, String currency, @Nullable BigDecimal amount) {
        Map<String, BigDecimal> sum = new TreeMap<>(amounts);
        sum.merge(
                currency,
                amount == null ? BigDecimal.ZERO : amount,
                (one, more) -> one.add(more).stripTrailingZeros());
        return sum;
    }

    /**
     * By currency, what the requests cost if {@link #isExact()}, else the least that they can cost; as far as none is
     * {@linkplain CostGrade#ESTIMATED estimated}. Unknown costs are not in it.
     */
    public Map<String, BigDecimal> atLeast() {
        return Collections.unmodifiableMap(atLeast);
    }

    /**
     * By currency, the most that the requests can cost; without the currencies for which that is not known, which is all of
     * them as long as the cost of one request is unknown.
     */
    public Map<String, BigDecimal> atMost() {
        if (unpriced() > 0) {
            return Map.of();
        }
        Map<String, BigDecimal> known = new TreeMap<>(atMost);
        known.keySet().removeAll(open);
        return Collections.unmodifiableMap(known);
    }

    /** How many requests these are. */
    public long requests() {
        return Arrays.stream(counts).sum();
    }

    /** How many of them are of a grade. */
    public long count(CostGrade grade) {
        return counts[grade.ordinal()];
    }

    /** How many of them are in no amount, because their cost is unknown. */
    public long unpriced() {
        return count(CostGrade.NO_PRICE) + count(CostGrade.NO_FIGURE);
    }

    /** Whether the cost of every request is known, so that the amounts are what they cost. */
    public boolean isExact() {
        return count(CostGrade.EXACT) == requests();
    }

    @Override
    public boolean equals(@Nullable Object o) {
        return o instanceof CostSum other
                && atLeast.equals(other.atLeast)
                && atMost.equals(other.atMost)
                && open.equals(other.open)
                && Arrays.equals(counts, other.counts);
    }

    @Override
    public int hashCode() {
        return atLeast.hashCode() * 31 + Arrays.hashCode(counts);
    }

    /** The amounts and, where they are not exact, why. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("CostSum[");
        Map<String, BigDecimal> most = atMost();
        atLeast.forEach((currency, least) -> {
            BigDecimal upper = most.get(currency);
            text.append(currency).append(' ');
            if (upper == null) {
                text.append("at least ").append(least.toPlainString());
            } else if (upper.equals(least)) {
                text.append(least.toPlainString());
            } else {
                text.append(least.toPlainString()).append(" to ").append(upper.toPlainString());
            }
            text.append(", ");
        });
        text.append("requests=").append(requests());
        for (CostGrade grade : CostGrade.values()) {
            if (grade != CostGrade.EXACT && count(grade) > 0) {
                text.append(", ").append(grade).append('=').append(count(grade));
            }
        }
        return text.append(']').toString();
    }
}
