package io.fluxtally.races;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.GraphRunException;
import io.fluxtally.graph.GraphRunnerContext;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.NodeResult;
import io.fluxtally.graph.StateGraph;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Description;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.IIIII_Result;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;
import org.reactivestreams.Subscription;
import org.springframework.ai.chat.metadata.DefaultUsage;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.SignalType;
import reactor.core.publisher.Sinks;

/**
 * Two branches of a graph, each of which ends on the thread of an actor. The one that is there last takes the run through
 * the join, whatever the other is still at.
 */
public final class JoinRaces {

    private static final String WRITTEN = "written";

    /** One graph for all runs, as in an app: what a run waits for is in its own state. */
    private static final CompiledGraph GRAPH = new StateGraph("race")
            .keyStrategy(WRITTEN, KeyStrategy.APPEND)
            .addNode("left", waitsFor("left"))
            .addNode("right", waitsFor("right"))
            .addNode("join", (state, run) -> {
                state.value("joins", AtomicInteger.class).ifPresent(AtomicInteger::incrementAndGet);
                return NodeResult.none();
            })
            .addEdge(StateGraph.START, "left")
            .addEdge(StateGraph.START, "right")
            .addEdge("left", "join")
            .addEdge("right", "join")
            .addEdge("join", StateGraph.END)
            .compile();

    private JoinRaces() {}

    @SuppressWarnings("unchecked")
    private static NodeAction waitsFor(String branch) {
        return (state, run) -> NodeResult.deferred(
                ((Sinks.One<Map<String, Object>>) state.value(branch + "-sink").orElseThrow()).asMono());
    }

    /** A run that has come to its branches, and waits for both. */
    private static final class Run extends BaseSubscriber<NodeOutput> {

        private final Sinks.One<Map<String, Object>> left = Sinks.one();
        private final Sinks.One<Map<String, Object>> right = Sinks.one();
        private final AtomicInteger joins = new AtomicInteger();
        private final AtomicInteger outputs = new AtomicInteger();
        private final AtomicInteger ends = new AtomicInteger();
        private final long requested;
        private volatile NodeOutput last;
        private volatile Throwable error;

        Run(long requested) {
            this.requested = requested;
            GRAPH.stream(Map.of("left-sink", left, "right-sink", right, "joins", joins))
                    .subscribe(this);
        }

        void leftEnds() {
            left.tryEmitValue(Map.of(WRITTEN, "left", GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(10, 1)));
        }

        void rightEnds() {
            right.tryEmitValue(Map.of(WRITTEN, "right", GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(200, 20)));
        }

        void leftFails() {
            left.tryEmitError(new IllegalStateException("left"));
        }

        void rightFails() {
            right.tryEmitError(new IllegalStateException("right"));
        }

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            subscription.request(requested);
        }

        @Override
        protected void hookOnNext(NodeOutput output) {
            last = output;
            outputs.incrementAndGet();
        }

        @Override
        protected void hookOnError(Throwable failure) {
            error = failure;
        }

        @Override
        protected void hookFinally(SignalType type) {
            ends.incrementAndGet();
        }

        int tokens() {
            return (int) last.runUsage().total().totalTokens();
        }

        void read(IIIII_Result r) {
            r.r1 = outputs.get();
            r.r2 = joins.get();
            r.r3 = ends.get();
            r.r4 = tokens();
            r.r5 = last.isEnd() && last.state().list(WRITTEN).equals(List.of("left", "right")) ? 1 : 0;
        }
    }

    @JCStressTest
    @Description(
            "Both branches end: outputs, executions of the join, ends, tokens, and whether the end has both in order.")
    @Outcome(
            id = "4, 1, 1, 231, 1",
            expect = ACCEPTABLE,
            desc = "joined once, with all that both have written and used")
    @Outcome(expect = FORBIDDEN, desc = "an output, an update or tokens were lost, or the join came twice or never")
    @State
    public static class BothEnd {

        private final Run run = new Run(Long.MAX_VALUE);

        @Actor
        public void left() {
            run.leftEnds();
        }

        @Actor
        public void right() {
            run.rightEnds();
        }

        @Arbiter
        public void read(IIIII_Result r) {
            run.read(r);
        }
    }

    @JCStressTest
    @Description("Branches end while the consumer asks for one output after the other; figures as before.")
    @Outcome(id = "4, 1, 1, 231, 1", expect = ACCEPTABLE, desc = "every output that was asked for came")
    @Outcome(expect = FORBIDDEN, desc = "an output, or the wish for it, was lost")
    @State
    public static class ConsumerAsks {

        // An execution begins when its first output is asked for, so one is asked for before.
        private final Run run = new Run(1);

        @Actor
        public void branches() {
            run.rightEnds();
            run.leftEnds();
        }

        @Actor
        public void consumer() {
            run.request(1);
            run.request(1);
            run.request(1);
        }

        @Arbiter
        public void read(IIIII_Result r) {
            run.read(r);
        }
    }

    @JCStressTest
    @Description(
            "One branch fails while the other ends: errors, executions of the join, tokens that the error knows of.")
    @Outcome(id = "1, 0, 0", expect = ACCEPTABLE, desc = "failed before the other was there")
    @Outcome(id = "1, 0, 220", expect = ACCEPTABLE, desc = "failed after it")
    @Outcome(expect = FORBIDDEN, desc = "joined, ended without the error, or ended twice")
    @State
    public static class OneFails {

        private final Run run = new Run(Long.MAX_VALUE);

        @Actor
        public void left() {
            run.leftFails();
        }

        @Actor
        public void right() {
            run.rightEnds();
        }

        @Arbiter
        public void read(III_Result r) {
            r.r1 = run.ends.get();
            r.r2 = run.joins.get();
            r.r3 = run.error instanceof GraphRunException failure
                    ? (int) failure.usage().total().totalTokens()
                    : -1;
        }
    }

    @JCStressTest
    @Description("Both branches fail: ends, and whether the error is one of the graph's.")
    @Outcome(id = "1, 1", expect = ACCEPTABLE, desc = "one error, whichever was first")
    @Outcome(expect = FORBIDDEN, desc = "no error, or one that says nothing")
    @State
    public static class BothFail {

        private final Run run = new Run(Long.MAX_VALUE);

        @Actor
        public void left() {
            run.leftFails();
        }

        @Actor
        public void right() {
            run.rightFails();
        }

        @Arbiter
        public void read(II_Result r) {
            r.r1 = run.ends.get();
            r.r2 = run.error instanceof GraphRunException ? 1 : 0;
        }
    }
}
