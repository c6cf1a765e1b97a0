package io.fluxtally.ledger.reconcile;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A line of a bill.
 *
 * @param number the line in the file, from 1
 * @param id the provider's id of the response, or null
 * @param model the model, or null
 * @param time the time, or null
 * @param figures the figures, by their index
 * @param open a bit for each figure, by its index, that the bill has a column for and this line leaves empty
 */
record BillLine(
        long number,
        @Nullable String id,
        @Nullable String model,
        @Nullable Instant time,
        long[] figures,
        int open) {}
