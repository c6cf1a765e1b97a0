package io.fluxtally.ledger.cost;

import org.jspecify.annotations.Nullable;

/**
 * Prices of requests up to a size.
 *
 * @param upToInput the most input tokens that such a request may have, cached ones included
 * @param prices the prices
 * @param batch the prices of batch requests, or null if the book has none
 */
record PriceTier(long upToInput, Prices prices, @Nullable Prices batch) {

    @Nullable
    Prices prices(boolean ofBatch) {
        return ofBatch ? batch : prices;
    }
}
