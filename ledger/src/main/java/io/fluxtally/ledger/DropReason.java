package io.fluxtally.ledger;

/** Why a ledger did not keep a request. It is in the totals in memory all the same. */
public enum DropReason {
    /** The queue was full, also after waiting if the policy waits. */
    QUEUE_FULL,
    /** The store failed as often as it was to be tried, and the policy does not spill. */
    STORE_FAILED,
    /** The spill file could not be written, or what was in it not be read. */
    SPILL_FAILED,
    /** The spill files had the size they may have. */
    SPILL_FULL,
    /** The record itself cannot be stored: a duration beyond 292 years, or a value that the database refuses. */
    REFUSED,
    /** It came after the ledger was closed, or closing had no more time for it. */
    CLOSED
}
