package io.fluxtally.boot.runs;

/** Where a run stands, as far as is known. */
public enum RunState {
    /** It was opened and not closed yet. */
    OPEN,
    /** It was closed. */
    CLOSED,
    /** It was never closed, and given up after a time without requests or for want of room. */
    EVICTED,
    /** It was opened elsewhere, such as by a graph, or is forgotten: only requests that came since then are seen. */
    SEEN
}
