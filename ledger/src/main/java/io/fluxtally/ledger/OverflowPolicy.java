package io.fluxtally.ledger;

/** What a ledger does with requests that it cannot pass on to its store as fast as they come. */
public enum OverflowPolicy {
    /** Write them to a local file, and from there to the store when it can take them again; count what does not fit. */
    SPILL,
    /** Let the thread that books wait, for a limited time, then count. */
    BLOCK,
    /** Count them. */
    DROP
}
