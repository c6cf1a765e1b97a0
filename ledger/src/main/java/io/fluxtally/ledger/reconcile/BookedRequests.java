package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.RequestUsage;
import java.util.function.Consumer;

/**
 * Booked requests that can be gone through one by one, such as {@code LedgerReader.of(path)::forEach}. One that comes more than
 * once is taken once.
 */
@FunctionalInterface
public interface BookedRequests {

    /** Hands over each request. */
    void forEach(Consumer<? super RequestUsage> action);
}
