package io.fluxtally.ledger;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * What a {@link UsageLedger} did so far, at one moment. All count records but {@code retried}, which counts tries.
 *
 * <p>Nothing is lost without being counted: {@code accepted + leftover = written + duplicates + all dropped + queued +
 * inSpill}, in every snapshot.
 *
 * @param accepted given to {@link UsageLedger#accept}, whatever became of them
 * @param leftover found in the spill files of an earlier process
 * @param written new in the store
 * @param duplicates passed to the store, which had them
 * @param retried how often a batch was tried again
 * @param spilled written to the spill files by this process
 * @param recovered read back from the spill files, and settled
 * @param queued in the queue, or on the way out of it
 * @param dropped not kept, by reason; every reason is there
 */
public record LedgerCounters(
        long accepted,
        long leftover,
        long written,
        long duplicates,
        long retried,
        long spilled,
        long recovered,
        long queued,
        Map<DropReason, Long> dropped) {

    /** Copies the map. */
    public LedgerCounters {
        Map<DropReason, Long> all = new EnumMap<>(DropReason.class);
        for (DropReason reason : DropReason.values()) {
            all.put(reason, dropped.getOrDefault(reason, 0L));
        }
        dropped = Collections.unmodifiableMap(all);
    }

    /** In the spill files, waiting for the store. */
    public long inSpill() {
        return leftover + spilled - recovered;
    }

    /** Not kept, for whatever reason. */
    public long droppedTotal() {
        return dropped.values().stream().mapToLong(Long::longValue).sum();
    }

    /** Not kept for this reason. */
    public long dropped(DropReason reason) {
        return dropped.getOrDefault(reason, 0L);
    }
}
