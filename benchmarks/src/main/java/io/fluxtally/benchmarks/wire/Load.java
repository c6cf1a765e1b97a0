package io.fluxtally.benchmarks.wire;

/** How much an operation reads. */
enum Load {

    /** A short stream. */
    SHORT(1, 1_000),

    /** A long stream. */
    LONG(1, 100_000),

    /** Many at once. */
    MANY(100, 500);

    final int streams;
    final int eventsEach;

    Load(int streams, int eventsEach) {
        this.streams = streams;
        this.eventsEach = eventsEach;
    }

    /** How many events there are in all. */
    int events() {
        return streams * eventsEach;
    }
}
