package io.fluxtally.ledger;

/** When a ledger of files makes its records outlast a crash of the machine. They outlast one of the process in any case. */
public enum FsyncPolicy {
    /** Before a batch counts as written. */
    EVERY_BATCH,
    /** When the ledger is flushed or closed. */
    ON_FLUSH,
    /** Never: the operating system decides. */
    NEVER
}
