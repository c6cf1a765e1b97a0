/**
 * What requests cost by a price book of the app's own: {@link io.fluxtally.ledger.cost.PriceBook} prices each request by
 * itself, and {@link io.fluxtally.ledger.cost.CostSum} adds up what came out. No price comes with Fluxtally.
 */
@NullMarked
package io.fluxtally.ledger.cost;

import org.jspecify.annotations.NullMarked;
