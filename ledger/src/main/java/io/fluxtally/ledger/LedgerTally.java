package io.fluxtally.ledger;

import java.util.EnumMap;
import java.util.Map;

/** What {@link LedgerCounters} are made of. Not safe for use by several threads: the ledger's lock guards it. */
final class LedgerTally {

    private long accepted;
    private long written;
    private long duplicates;
    private long retried;
    private long spilled;
    private long recovered;
    private final Map<DropReason, Long> dropped = new EnumMap<>(DropReason.class);

    void accepted() {
        accepted++;
    }

    void retried() {
        retried++;
    }

    void dropped(DropReason reason, long count) {
        dropped.merge(reason, count, Long::sum);
    }

    void taken(GuardedStore.Taken taken) {
        written += taken.added();
        duplicates += taken.passed() - taken.added();
        dropped(DropReason.REFUSED, taken.refused());
    }

    /** Of so many that were to be spilled these were not. */
    void spilled(int count, Map<DropReason, Long> failed) {
        spilled += count;
        failed.forEach((reason, records) -> {
            spilled -= records;
            dropped(reason, records);
        });
    }

    /** What became of records out of the spill, and how many there could not be read. */
    void recovered(GuardedStore.Taken taken, int unreadable) {
        recovered += taken.settled() + unreadable;
        taken(taken);
        dropped(DropReason.SPILL_FAILED, unreadable);
    }

    long droppedTotal() {
        return dropped.values().stream().mapToLong(Long::longValue).sum();
    }

    /** What is in the spill; what was just spilled may be read back before it is counted as spilled. */
    long inSpill(long leftover) {
        return Math.max(0, leftover + spilled - recovered);
    }

    LedgerCounters counters(long leftover, long queued) {
        return new LedgerCounters(
                accepted, leftover, written, duplicates, retried, spilled, recovered, queued, dropped);
    }
}
