package io.fluxtally.ledger.cost;

import java.math.BigDecimal;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What one request costs by a price book. Amounts are exact: nothing is rounded.
 *
 * <p>Immutable.
 *
 * @param grade how much is known
 * @param currency what the amounts are in, or null if the cost is unknown or if no token was used, which costs nothing in
 *     any currency
 * @param atLeast the cost if the grade is {@code EXACT}, else the least that it can be; null if it is unknown
 * @param atMost the cost if the grade is {@code EXACT}, else the most that it can be; null if that is not known
 */
public record RequestCost(
        CostGrade grade,
        @Nullable String currency,
        @Nullable BigDecimal atLeast,
        @Nullable BigDecimal atMost) {

    static final RequestCost NOTHING = new RequestCost(CostGrade.EXACT, null, BigDecimal.ZERO, BigDecimal.ZERO);
    static final RequestCost NO_PRICE = new RequestCost(CostGrade.NO_PRICE, null, null, null);
    static final RequestCost NO_FIGURE = new RequestCost(CostGrade.NO_FIGURE, null, null, null);

    /** Brings amounts into the one form that they are compared in, without zeros at their end. */
    public RequestCost {
        Objects.requireNonNull(grade, "grade");
        atLeast = normal(atLeast);
        atMost = normal(atMost);
    }

    private static @Nullable BigDecimal normal(@Nullable BigDecimal amount) {
        return amount == null ? null : amount.stripTrailingZeros();
    }

    /** Whether there is an amount at all. */
    public boolean isPriced() {
        return atLeast != null;
    }
}
