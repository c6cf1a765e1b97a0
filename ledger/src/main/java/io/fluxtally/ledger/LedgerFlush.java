package io.fluxtally.ledger;

/**
 * What of the records accepted before a flush is not in the store.
 *
 * @param waiting those still queued, or on their way to the store, when the time was up
 * @param inSpill those in the spill files, which go to the store when it takes them, in this process or the next
 * @param dropped those not kept at all since the ledger was opened, see {@link LedgerCounters#dropped()}
 * @param forced whether what the store has outlasts a crash, as far as its policy wants that
 */
public record LedgerFlush(long waiting, long inSpill, long dropped, boolean forced) {

    /** Whether every record accepted before the flush is in the store, to stay. */
    public boolean isComplete() {
        return waiting == 0 && inSpill == 0 && dropped == 0 && forced;
    }
}
