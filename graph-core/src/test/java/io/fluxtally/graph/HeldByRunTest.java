package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.openjdk.jol.info.GraphLayout;
import org.reactivestreams.Subscription;
import org.springframework.ai.chat.metadata.DefaultUsage;
import reactor.core.publisher.BaseSubscriber;

/** Counted object by object from the subscription on, which is all that keeps a run alive: no collector has a say in it. */
@DisplayName("what a run holds")
class HeldByRunTest {

    private static final String STEPS = "steps";
    private static final String WRITTEN = "written";

    @BeforeAll
    static void sizeRecords() {
        // The JVM keeps the offsets of a record's fields to itself; they can be worked out.
        System.setProperty("jol.magicFieldOffset", "true");
        // It would start a process to ask this one, whose output is the build's.
        System.setProperty("jol.skipDynamicAttach", "true");
    }

    /** What a class holds for whoever looks at its fields, as counting does. */
    private static final Set<String> REFLECTION =
            Set.of("java.lang.Class$ReflectionData", "java.lang.ref.SoftReference");

    /** Takes the outputs of a run one by one, and counts what it holds when a first and a second number of them is there. */
    private static final class Scales extends BaseSubscriber<NodeOutput> {

        private final long first;
        private final long second;
        private long outputs;

        // What is held here is counted too, so it must not grow either.
        private long run;
        private long shown;
        private long runGrowth = Long.MIN_VALUE;
        private long shownGrowth = Long.MIN_VALUE;

        Scales(long first, long second) {
            this.first = first;
            this.second = second;
        }

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            subscription.request(1);
        }

        @Override
        protected void hookOnNext(NodeOutput output) {
            outputs++;
            if (outputs == first) {
                run = size(upstream());
                shown = size(output.state().values(), output.runUsage());
            } else if (outputs == second) {
                runGrowth = size(upstream()) - run;
                shownGrowth = size(output.state().values(), output.runUsage()) - shown;
            }
            request(1);
        }

        private static long size(Object... roots) {
            GraphLayout layout = GraphLayout.parseInstance(roots);
            return layout.getClasses().stream()
                    .filter(type -> !REFLECTION.contains(type.getName()))
                    .mapToLong(layout.getClassSizes()::count)
                    .sum();
        }
    }

    private static Map<String, Object> step(GraphState state) {
        return new HashMap<>(Map.of(STEPS, state.value(STEPS, Integer.class).orElse(0) + 1));
    }

    private static CompiledGraph loop(int steps, NodeAction action) {
        return new StateGraph("loop")
                .keyStrategy(WRITTEN, KeyStrategy.APPEND)
                .addNode("step", action)
                .addEdge(StateGraph.START, "step")
                .addConditionalEdges(
                        "step",
                        state -> state.value(STEPS, Integer.class).orElse(0) < steps ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(steps));
    }

    @Test
    @DisplayName("is the same after 1,000 steps and after 100,000, where each writes over one key")
    void constantState() {
        Scales scales = new Scales(1_000, 100_000);

        loop(100_000, (state, run) -> NodeResult.update(step(state))).stream(Map.of())
                .subscribe(scales);

        assertThat(scales.runGrowth).isZero();
    }

    @Test
    @DisplayName("is the same after 200 fan-outs and after 10,000")
    void branches() {
        Scales scales = new Scales(800, 40_000);

        edges(
                        new StateGraph("fans")
                                .addNode("step", (state, run) -> NodeResult.update(step(state)))
                                .addNode("a", (state, run) -> NodeResult.none())
                                .addNode("b", (state, run) -> NodeResult.none())
                                .addNode("join", (state, run) -> NodeResult.none()),
                        "start > step",
                        "step > a b",
                        "a > join",
                        "b > join")
                .addConditionalEdges(
                        "join",
                        state -> state.value(STEPS, Integer.class).orElse(0) < 10_000 ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(40_000))
                .stream(Map.of())
                .subscribe(scales);

        assertThat(scales.runGrowth).isZero();
    }

    @Test
    @DisplayName("grows by what is appended to the state and booked, and by 64 bytes at most to book each request once")
    void growingState() {
        Scales scales = new Scales(500, 2_500);

        loop(2_500, (state, run) -> {
                    Map<String, Object> update = step(state);
                    update.put(WRITTEN, new byte[100]);
                    update.put(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(10, 1));
                    return NodeResult.update(update);
                })
                .stream(Map.of())
                .subscribe(scales);

        assertThat(scales.shownGrowth).isGreaterThan(2_000L * 100);
        assertThat(scales.runGrowth - scales.shownGrowth).isBetween(0L, 2_000L * 64);
    }
}
