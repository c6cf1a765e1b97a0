package io.fluxtally.races;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.RunScope;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Description;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;

/** Two threads at the limits of one run. */
public final class ReservationRaces {

    private ReservationRaces() {}

    private static RunScope limited(long requests) {
        return RunScope.start("run").withLimits(UsageLimits.NONE.withRequests(requests));
    }

    /** Whether a request would be let through. */
    private static boolean reserves(RunScope scope) {
        try {
            Reservation.of(scope);
            return true;
        } catch (UsageLimitExceededException refused) {
            return false;
        }
    }

    @JCStressTest
    @Description("Two branches of a run that may make one request: the first may, the second may, places taken.")
    @Outcome(id = "1, 0, 1", expect = ACCEPTABLE, desc = "the first may")
    @Outcome(id = "0, 1, 1", expect = ACCEPTABLE, desc = "the second may")
    @Outcome(expect = FORBIDDEN, desc = "branches together go beyond the limit, or none gets through")
    @State
    public static class BranchesReserve {

        private final RunScope run = limited(1);
        private final RunScope left = run.branch();
        private final RunScope right = run.branch();

        @Actor
        public void left(III_Result r) {
            r.r1 = reserves(left) ? 1 : 0;
        }

        @Actor
        public void right(III_Result r) {
            r.r2 = reserves(right) ? 1 : 0;
        }

        @Arbiter
        public void read(III_Result r) {
            r.r3 = (int) run.tally().holdPlace(0);
        }
    }

    @JCStressTest
    @Description("One reservation is released by two threads while another holds the run's second place: places taken.")
    @Outcome(id = "1, 2", expect = ACCEPTABLE, desc = "released once")
    @Outcome(expect = FORBIDDEN, desc = "given back twice, or not")
    @State
    public static class ReleasedTwice {

        private final RunScope run = limited(2);
        private final Reservation released = Reservation.of(run);

        public ReleasedTwice() {
            Reservation.of(run);
        }

        @Actor
        public void first() {
            released.release();
        }

        @Actor
        public void second() {
            released.release();
        }

        @Arbiter
        public void read(II_Result r) {
            r.r1 = (int) run.tally().holdPlace(2);
            r.r2 = (int) run.tally().holdPlace(0);
        }
    }
}
