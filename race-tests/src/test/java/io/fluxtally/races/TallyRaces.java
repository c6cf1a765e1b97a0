package io.fluxtally.races;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Description;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.IIII_Result;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;

/** Two threads at one tally. A request of 10 + 1 tokens and one of 200 + 20 are told apart in any sum. */
public final class TallyRaces {

    private static final RequestUsage SMALL = request("small", TokenUsage.of(10, 1));
    private static final RequestUsage LARGE = request("large", TokenUsage.of(200, 20));

    private TallyRaces() {}

    private static RequestUsage request(String id, TokenUsage usage) {
        return RequestUsage.builder(id, Instant.EPOCH)
                .usage(usage, UsageSource.REPORTED)
                .build();
    }

    private static int requests(RunUsage usage) {
        return (int) usage.sum().requests();
    }

    private static int total(RunUsage usage) {
        return (int) usage.total().totalTokens();
    }

    /** The tokens of the requests themselves, to be held against the total. */
    private static int fold(RunUsage usage) {
        int tokens = 0;
        for (RequestUsage request : usage.requests()) {
            TokenUsage part = request.usage();
            tokens += (int) (part.inputTokens() + part.outputTokens());
        }
        return tokens;
    }

    @JCStressTest
    @Description("Two branches add a request each: the whole has both. Requests, total, sum of the requests.")
    @Outcome(id = "2, 231, 231", expect = ACCEPTABLE, desc = "both")
    @Outcome(expect = FORBIDDEN, desc = "one was lost, or came twice")
    @State
    public static class BranchesAdd {

        private final RunTally whole = new RunTally();
        private final RunTally left = whole.branch();
        private final RunTally right = whole.branch().branch();

        @Actor
        public void left() {
            left.add(SMALL);
        }

        @Actor
        public void right() {
            right.add(LARGE);
        }

        @Arbiter
        public void read(III_Result r) {
            RunUsage usage = whole.usage();
            r.r1 = requests(usage);
            r.r2 = total(usage);
            r.r3 = fold(usage);
        }
    }

    @JCStressTest
    @Description("A snapshot while a thread adds two requests: requests, total, sum of the requests.")
    @Outcome(id = "0, 0, 0", expect = ACCEPTABLE, desc = "before both")
    @Outcome(id = "1, 11, 11", expect = ACCEPTABLE, desc = "between them")
    @Outcome(id = "2, 231, 231", expect = ACCEPTABLE, desc = "after both")
    @Outcome(expect = FORBIDDEN, desc = "a total that is not that of its requests")
    @State
    public static class SnapshotWhileAdding {

        private final RunTally whole = new RunTally();
        private final RunTally branch = whole.branch();

        @Actor
        public void add() {
            branch.add(SMALL);
            branch.add(LARGE);
        }

        @Actor
        public void read(III_Result r) {
            RunUsage usage = whole.usage();
            r.r1 = requests(usage);
            r.r2 = total(usage);
            r.r3 = fold(usage);
        }
    }

    @JCStressTest
    @Description(
            "Two threads offer one tally the same request: new to the first, new to the second, here, in the whole.")
    @Outcome(id = "1, 0, 11, 11", expect = ACCEPTABLE, desc = "the first was there first")
    @Outcome(id = "0, 1, 11, 11", expect = ACCEPTABLE, desc = "the second was there first")
    @Outcome(expect = FORBIDDEN, desc = "added twice, or by nobody")
    @State
    public static class SameRequest {

        private final RunTally whole = new RunTally();
        private final RunTally branch = whole.branch();

        @Actor
        public void first(IIII_Result r) {
            r.r1 = branch.add(SMALL) ? 1 : 0;
        }

        @Actor
        public void second(IIII_Result r) {
            r.r2 = branch.add(SMALL) ? 1 : 0;
        }

        @Arbiter
        public void read(IIII_Result r) {
            r.r3 = fold(branch.usage());
            r.r4 = fold(whole.usage());
        }
    }

    @JCStressTest
    @Description("Two branches are offered the same request: it is in each of them, and once in the whole.")
    @Outcome(id = "11, 11, 11", expect = ACCEPTABLE, desc = "once in each")
    @Outcome(expect = FORBIDDEN, desc = "missing in a branch, or twice in the whole")
    @State
    public static class SameRequestInBranches {

        private final RunTally whole = new RunTally();
        private final RunTally left = whole.branch();
        private final RunTally right = whole.branch();

        @Actor
        public void left() {
            left.add(SMALL);
        }

        @Actor
        public void right() {
            right.add(SMALL);
        }

        @Arbiter
        public void read(III_Result r) {
            r.r1 = total(left.usage());
            r.r2 = total(right.usage());
            r.r3 = total(whole.usage());
        }
    }

    @JCStressTest
    @Description("A request that had begun is added and ends while the whole is read: in flight, requests.")
    @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "in flight")
    @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "added, and its end not heard of yet")
    @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "over")
    @Outcome(id = "0, 0", expect = FORBIDDEN, desc = "neither in flight nor added: a run that looks complete")
    @Outcome(expect = FORBIDDEN, desc = "anything else")
    @State
    public static class RequestEnds {

        private final RunTally whole = new RunTally();
        private final RunTally branch = whole.branch();

        public RequestEnds() {
            branch.begun();
        }

        @Actor
        public void end() {
            branch.add(SMALL);
            branch.ended();
        }

        @Actor
        public void read(II_Result r) {
            RunUsage usage = whole.usage();
            r.r1 = (int) usage.inFlight();
            r.r2 = requests(usage);
        }
    }

    @JCStressTest
    @Description("A request that is in the whole is in the branch it came from: in the whole, then in the branch.")
    @Outcome(id = "0, 0", expect = ACCEPTABLE, desc = "before")
    @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "on its way up")
    @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "after")
    @Outcome(expect = FORBIDDEN, desc = "in the whole, and in no part of it")
    @State
    public static class HandedOn {

        private final RunTally whole = new RunTally();
        private final RunTally branch = whole.branch();

        @Actor
        public void add() {
            branch.add(SMALL);
        }

        @Actor
        public void read(II_Result r) {
            r.r1 = requests(whole.usage());
            r.r2 = requests(branch.usage());
        }
    }

    @JCStressTest
    @Description("Two threads want the last place: what each found taken, and what is taken then.")
    @Outcome(id = "0, 1, 1", expect = ACCEPTABLE, desc = "the first has it")
    @Outcome(id = "1, 0, 1", expect = ACCEPTABLE, desc = "the second has it")
    @Outcome(expect = FORBIDDEN, desc = "both have it, or nobody")
    @State
    public static class LastPlace {

        private final RunTally tally = new RunTally();

        @Actor
        public void first(III_Result r) {
            r.r1 = (int) tally.holdPlace(1);
        }

        @Actor
        public void second(III_Result r) {
            r.r2 = (int) tally.holdPlace(1);
        }

        @Arbiter
        public void read(III_Result r) {
            r.r3 = (int) tally.holdPlace(0);
        }
    }

    @JCStressTest
    @Description(
            "A request takes the place held for it while another wants one: what that found taken, and what is then.")
    @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "the place was taken all the time")
    @Outcome(expect = FORBIDDEN, desc = "the place was free for a moment, or taken twice")
    @State
    public static class PlaceIsTaken {

        private final RunTally tally = new RunTally();

        public PlaceIsTaken() {
            tally.holdPlace(1);
        }

        @Actor
        public void add() {
            tally.add(SMALL, in -> true);
        }

        @Actor
        public void hold(II_Result r) {
            r.r1 = (int) tally.holdPlace(1);
        }

        @Arbiter
        public void read(II_Result r) {
            r.r2 = (int) tally.holdPlace(0);
        }
    }

    @JCStressTest
    @Description("A place is left while another wants one: what that found taken, and what is taken then.")
    @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "left, then held")
    @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "refused, then left")
    @Outcome(expect = FORBIDDEN, desc = "a place that nobody has, or two")
    @State
    public static class PlaceIsLeft {

        private final RunTally tally = new RunTally();

        public PlaceIsLeft() {
            tally.holdPlace(1);
        }

        @Actor
        public void leave() {
            tally.leavePlace();
        }

        @Actor
        public void hold(II_Result r) {
            r.r1 = (int) tally.holdPlace(1);
        }

        @Arbiter
        public void read(II_Result r) {
            r.r2 = (int) tally.holdPlace(0);
        }
    }
}
