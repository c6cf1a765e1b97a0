package io.fluxtally.usage.scope;

import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.UsageLimitExceededException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The places held for one request that is about to be made, one in each tally whose run is limited.
 *
 * <p>A call inside another call, and a request on the wire for a call, are the same request as a rule, so they take over
 * the places of the call that they are made inside of, as long as these are free. Whoever books the request makes it take
 * the places; those that nobody took are given back when the last that held them is released.
 *
 * <p>Safe for use by any number of threads.
 */
public final class Reservation {

    /** No place: where no limits hold. */
    public static final Reservation NONE = new Reservation();

    private final List<Place> places = new ArrayList<>();

    private Reservation() {}

    /**
     * Reserves what a request needs that is about to be made in the given scope.
     *
     * @param scope the scope, or null if there is none
     * @return what is reserved; to be {@linkplain #release() released}
     * @throws UsageLimitExceededException if a run that the scope is in, or is a part of, may not use more
     */
    public static Reservation of(@Nullable UsageScope scope) {
        return of(scope, true);
    }

    /** What the call that the scope is in holds, and nothing beyond that; for a request that cannot be refused. */
    public static Reservation ofCall(@Nullable UsageScope scope) {
        return of(scope, false);
    }

    private static Reservation of(@Nullable UsageScope scope, boolean asks) {
        RunScope run = scope == null ? null : scope.runScope();
        RunLimiter limiter = run == null ? null : run.limiter();
        if (scope == null || limiter == null) {
            return NONE;
        }
        ModelCall call = scope.modelCall();
        Reservation reservation = new Reservation();
        try {
            for (; limiter != null; limiter = limiter.outer()) {
                Place place = call == null ? null : call.reservation().lend(limiter.tally(), reservation);
                if (place == null && asks) {
                    limiter.holdPlace();
                    place = new Place(limiter.tally(), reservation);
                }
                if (place != null) {
                    reservation.places.add(place);
                }
            }
        } catch (UsageLimitExceededException refused) {
            reservation.release();
            if (call != null) {
                call.refused();
            }
            throw refused;
        }
        return reservation;
    }

    private @Nullable Place lend(RunTally tally, Reservation to) {
        for (Place place : places) {
            if (place.tally == tally && place.isLent(this, to)) {
                return place;
            }
        }
        return null;
    }

    /** Whether the request has a place in a tally, which it takes by this. */
    boolean takesPlace(RunTally tally) {
        for (Place place : places) {
            if (place.tally == tally) {
                return place.take();
            }
        }
        return false;
    }

    /** Gives back the places that were not taken. A second time it does nothing. */
    public void release() {
        places.forEach(place -> place.release(this));
    }

    /** A place in one tally. */
    private static final class Place {

        private final RunTally tally;

        /** Who holds it, each from the one before; the last has the say. */
        private final List<Reservation> holders = new ArrayList<>(2);

        private boolean taken;

        Place(RunTally tally, Reservation holder) {
            this.tally = tally;
            holders.add(holder);
        }

        synchronized boolean isLent(Reservation from, Reservation to) {
            boolean lent = !taken && !holders.isEmpty() && holders.get(holders.size() - 1) == from;
            if (lent) {
                holders.add(to);
            }
            return lent;
        }

        synchronized boolean take() {
            boolean takes = !taken;
            taken = true;
            return takes;
        }

        synchronized void release(Reservation holder) {
            // Reservations have no equals(), so this is the very holder.
            if (holders.remove(holder) && holders.isEmpty() && !taken) {
                taken = true;
                tally.leavePlace();
            }
        }
    }
}
