package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

@DisplayName("a run of 100,000 steps, on a thread whose stack has no room for a frame of each")
@Timeout(120)
class LongRunsTest {

    private static final int STEPS = 100_000;
    private static final String COUNT = "count";

    private final ExecutorService smallStack =
            Executors.newSingleThreadExecutor(task -> new Thread(null, task, "small-stack", 192 * 1024));
    private final Scheduler scheduler = Schedulers.fromExecutorService(smallStack);

    @AfterEach
    void stop() {
        smallStack.shutdownNow();
    }

    private static Map<String, Object> increment(GraphState state) {
        return Map.of(COUNT, state.value(COUNT, Integer.class).orElse(0) + 1);
    }

    private static CompiledGraph loop(NodeAction action) {
        return new StateGraph("long")
                .addNode("step", action)
                .addEdge(StateGraph.START, "step")
                .addConditionalEdges(
                        "step",
                        state -> state.value(COUNT, Integer.class).orElse(0) < STEPS ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(STEPS));
    }

    /** Subscribes on the small stack, and stays there if the nodes do. A stack that overflows may end in silence. */
    private <T> T runs(Mono<T> run) throws Exception {
        return CompletableFuture.supplyAsync(run::toFuture, smallStack)
                .thenCompose(future -> future)
                .get(60, TimeUnit.SECONDS);
    }

    private void assertGetsToTheEnd(NodeAction action) throws Exception {
        CompiledGraph graph = loop(action);

        assertThat(runs(graph.invoke(Map.of())).state().value(COUNT)).contains(STEPS);
        assertThat(runs(graph.stream(Map.of()).count())).isGreaterThanOrEqualTo(STEPS + 1L);
        // One output asked for at a time: another path through every operator.
        assertThat(runs(graph.stream(Map.of()).limitRate(1).count())).isGreaterThanOrEqualTo(STEPS + 1L);
    }

    @Test
    @DisplayName("ends where nodes give their update at once")
    void values() throws Exception {
        assertGetsToTheEnd((state, run) -> NodeResult.update(increment(state)));
    }

    @Test
    @DisplayName("ends where nodes give a Mono that is there at once")
    void monos() throws Exception {
        assertGetsToTheEnd((state, run) -> NodeResult.deferred(Mono.fromSupplier(() -> increment(state))));
    }

    @Test
    @DisplayName("ends where nodes give a Mono that comes from a scheduler")
    void asynchronousMonos() throws Exception {
        assertGetsToTheEnd((state, run) ->
                NodeResult.deferred(Mono.fromSupplier(() -> increment(state)).subscribeOn(scheduler)));
    }

    @Test
    @DisplayName("ends where nodes stream")
    void chunks() throws Exception {
        assertGetsToTheEnd((state, run) -> NodeResult.chunks(Flux.just("a"), () -> new Counting(state)));
    }

    @Test
    @DisplayName("ends where nodes stream from a scheduler")
    void asynchronousChunks() throws Exception {
        assertGetsToTheEnd(
                (state, run) -> NodeResult.chunks(Flux.just("a").publishOn(scheduler), () -> new Counting(state)));
    }

    @Test
    @DisplayName("ends where nodes block")
    void blocking() throws Exception {
        CompiledGraph graph = loop((state, run) -> NodeResult.blocking(() -> increment(state)));

        assertThat(runs(graph.invoke(Map.of())).state().value(COUNT)).contains(STEPS);
    }

    @Test
    @DisplayName("ends where nodes are sub-graphs")
    void subGraphs() throws Exception {
        CompiledGraph one = Graphs.single((state, run) -> NodeResult.update(increment(state)))
                .compile();

        assertGetsToTheEnd(one.asNode());
    }

    @Test
    @DisplayName("ends where each second step is two branches")
    void branches() throws Exception {
        CompiledGraph graph = edges(
                        new StateGraph("long")
                                .addNode("step", (state, run) -> NodeResult.update(increment(state)))
                                .addNode("a", (state, run) -> NodeResult.none())
                                .addNode("b", (state, run) -> NodeResult.none())
                                .addNode("join", (state, run) -> NodeResult.none()),
                        "start > step",
                        "step > a b",
                        "a > join",
                        "b > join")
                .addConditionalEdges(
                        "join",
                        state -> state.value(COUNT, Integer.class).orElse(0) < STEPS ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(4L * STEPS));

        assertThat(runs(graph.invoke(Map.of())).state().value(COUNT)).contains(STEPS);
        assertThat(runs(graph.stream(Map.of()).limitRate(1).count())).isEqualTo(4L * STEPS + 1);
    }

    @Test
    @DisplayName("ends where a branch takes them all")
    void inABranch() throws Exception {
        CompiledGraph graph = edges(
                        new StateGraph("long")
                                .addNode("step", (state, run) -> NodeResult.update(increment(state)))
                                .addNode("other", (state, run) -> NodeResult.none()),
                        "start > step other",
                        "other > end")
                .addConditionalEdges(
                        "step",
                        state -> state.value(COUNT, Integer.class).orElse(0) < STEPS ? "on" : "end",
                        Map.of("on", "step", "end", StateGraph.END))
                .compile(CompileConfig.DEFAULT.withMaxIterations(STEPS + 1L));

        assertThat(runs(graph.invoke(Map.of())).state().value(COUNT)).contains(STEPS);
        assertThat(runs(graph.stream(Map.of()).limitRate(1).count())).isEqualTo(STEPS + 2L);
    }

    /** A chain of 10,000 nodes, which two branches lead to, so that their join is looked for along all of it. */
    private static CompiledGraph chain() {
        StateGraph chain = edges(
                new StateGraph("chain")
                        .addNode("a", (state, run) -> NodeResult.none())
                        .addNode("b", (state, run) -> NodeResult.none()),
                "start > a b",
                "a > 0",
                "b > 0");
        List<String> ids =
                IntStream.rangeClosed(0, 10_000).mapToObj(Integer::toString).toList();
        for (int i = 0; i < 10_000; i++) {
            chain.addNode(ids.get(i), (state, run) -> NodeResult.update(increment(state)));
            chain.addEdge(ids.get(i), i == 9_999 ? StateGraph.END : ids.get(i + 1));
        }
        return chain.compile(CompileConfig.DEFAULT.withMaxIterations(10_002));
    }

    @Test
    @DisplayName("ends in a chain of 10,000 nodes too, which is compiled in as little stack")
    void deepChain() throws Exception {
        CompiledGraph graph =
                CompletableFuture.supplyAsync(LongRunsTest::chain, smallStack).get(60, TimeUnit.SECONDS);

        assertThat(runs(graph.invoke(Map.of())).state().value(COUNT)).contains(10_000);
        assertThat(runs(graph.stream(Map.of()).count())).isEqualTo(10_003);
        assertThat(runs(graph.stream(Map.of()).limitRate(1).count())).isEqualTo(10_003);
    }

    /** Counts one step, whatever the chunks. */
    private record Counting(GraphState state) implements ChunkJoiner<String> {

        @Override
        public String add(String chunk) {
            return chunk;
        }

        @Override
        public Map<String, ?> update() {
            return increment(state);
        }
    }
}
