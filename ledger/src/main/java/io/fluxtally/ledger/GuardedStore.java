package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.util.List;

/**
 * A store out of which nothing is thrown: it says what became of what it was given. Not safe for use by several threads, as
 * the store need not be.
 */
final class GuardedStore {

    private static final String WRITING = "writing the ledger";

    private final LedgerStore store;

    GuardedStore(LedgerStore store) {
        this.store = store;
    }

    /**
     * What became of records, in their order.
     *
     * @param passed how many the store took
     * @param added how many of these were new to it
     * @param refused how many it refused
     * @param failed whether it failed at the next one; those after it were not given to it, or may be there
     */
    record Taken(int passed, int added, int refused, boolean failed) {

        static final Taken NOTHING = new Taken(0, 0, 0, false);

        /** How many need not be given to the store again. */
        int settled() {
            return passed + refused;
        }
    }

    /** Gives records to the store; one by one if it refuses any of them, so that it takes those beside it. */
    Taken append(List<RequestUsage> batch) {
        if (batch.isEmpty()) {
            return Taken.NOTHING;
        }
        try {
            return new Taken(batch.size(), store.append(batch), 0, false);
        } catch (Throwable error) {
            LedgerFailures.report(WRITING, error);
            return isRefusal(error) ? appendOneByOne(batch) : new Taken(0, 0, 0, true);
        }
    }

    private Taken appendOneByOne(List<RequestUsage> batch) {
        int passed = 0;
        int added = 0;
        int refused = 0;
        for (int i = 0; i < batch.size(); i++) {
            try {
                added += store.append(batch.subList(i, i + 1));
                passed++;
            } catch (Throwable error) {
                if (!isRefusal(error)) {
                    LedgerFailures.report(WRITING, error);
                    return new Taken(passed, added, refused, true);
                }
                refused++;
            }
        }
        return new Taken(passed, added, refused, false);
    }

    private static boolean isRefusal(Throwable error) {
        return error instanceof LedgerException refusal && refusal.isRefused();
    }

    /** Returns whether all that the store took is there to stay. */
    boolean force() {
        try {
            store.force();
            return true;
        } catch (Throwable error) {
            LedgerFailures.report("forcing the ledger", error);
            return false;
        }
    }

    /** Returns whether the store could be closed. */
    boolean close() {
        try {
            store.close();
            return true;
        } catch (Throwable error) {
            LedgerFailures.report("closing the ledger", error);
            return false;
        }
    }
}
