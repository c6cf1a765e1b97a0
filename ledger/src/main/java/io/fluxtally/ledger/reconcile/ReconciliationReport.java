package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.UsageSource;
import java.util.List;
import java.util.Map;

/**
 * What holding a ledger against a bill came to.
 *
 * @param byId how many lines of the bill were matched by the provider's id of the response
 * @param byModelAndTime how many lines were matched by model and time
 * @param billed all that was billed
 * @param passedOver how many lines of the bill were not about what was asked for, and are in no figure
 * @param unknownKinds those among them whose kind of figure is not known, by the kind
 * @param booked all that was booked
 * @param requests how many booked requests that is
 * @param sources how many of them have which source
 * @param repeated how many records were there more than once, and were taken once
 * @param filteredOut how many booked requests were not about what was asked for, and are in no figure
 * @param unused how many booked requests used nothing and are not on the bill, which is no difference
 * @param equal how many responses, or models in a bucket, agree
 * @param billedNotBooked what was billed and not booked
 * @param bookedNotBilled what was booked and not billed
 * @param differing what was billed and booked with figures that differ
 */
public record ReconciliationReport(
        long byId,
        long byModelAndTime,
        Figures billed,
        long passedOver,
        Map<String, Long> unknownKinds,
        Figures booked,
        long requests,
        Map<UsageSource, Long> sources,
        long repeated,
        long filteredOut,
        long unused,
        long equal,
        Section billedNotBooked,
        Section bookedNotBilled,
        Section differing) {

    /** Whether bill and ledger agree in everything that the bill states. */
    public boolean isEqual() {
        return billedNotBooked.count == 0 && bookedNotBilled.count == 0 && differing.count == 0;
    }

    /**
     * Differences of one sort.
     *
     * @param count how many there are
     * @param billed what they were billed, together
     * @param booked what was booked for them, together
     * @param listed the first of them, in the order of the bill, or of the ledger where they are not on the bill
     */
    public record Section(long count, Figures billed, Figures booked, List<Difference> listed) {

        /** How many there are besides those that are listed. */
        public long notListed() {
            return count - listed.size();
        }
    }
}
