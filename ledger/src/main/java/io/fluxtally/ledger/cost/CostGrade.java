package io.fluxtally.ledger.cost;

import io.fluxtally.usage.UsageSource;

/** How much is known of what a request costs. */
public enum CostGrade {
    /** The provider's final figure times the book's prices. */
    EXACT,
    /** Between two amounts: a part that has a price of its own was not reported. */
    BOUNDED,
    /**
     * At least an amount: the figure is a running one ({@link UsageSource#PARTIAL}), or its total exceeds input plus output,
     * so that some tokens have no price.
     */
    AT_LEAST,
    /** What the tokens that were estimated would cost ({@link UsageSource#ESTIMATED}): no bound of anything. */
    ESTIMATED,
    /** Unknown: the book has no price for it. */
    NO_PRICE,
    /** Unknown: there is no figure ({@link UsageSource#MISSING}), or one whose parts are together more than what they are parts of. */
    NO_FIGURE
}
