package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.util.List;

/**
 * Where a {@link UsageLedger} keeps its records: each request once, told by {@link RequestUsage#requestId()}.
 *
 * <p>A ledger calls its store from one thread at a time. It may repeat a batch whose appending failed, and give a record
 * again that the store has.
 */
public interface LedgerStore extends AutoCloseable {

    /**
     * Appends those records of a batch that are not here yet.
     *
     * @return how many were new, as far as the store can tell; at most the size of the batch
     * @throws LedgerException if not all of them are here; some may be. Appending the same batch again completes it
     */
    int append(List<RequestUsage> batch);

    /**
     * Makes all that was appended outlast a crash of the machine, as far as the store's policy wants that. What was
     * appended outlasts a crash of the process anyway.
     *
     * @throws LedgerException if that cannot be said of every record appended
     */
    void force();

    /** Gives back what the store holds. It appends nothing. Closing again does nothing. */
    @Override
    void close();
}
