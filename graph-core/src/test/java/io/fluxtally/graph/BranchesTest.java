package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

@DisplayName("branches of a graph")
@Timeout(60)
class BranchesTest {

    private static final String LOG = "log";

    private enum Way {
        STREAM {
            @Override
            NodeOutput end(CompiledGraph graph) {
                return graph.stream(Map.of()).blockLast();
            }
        },
        INVOKE {
            @Override
            NodeOutput end(CompiledGraph graph) {
                return graph.invoke(Map.of()).block();
            }
        };

        abstract NodeOutput end(CompiledGraph graph);
    }

    /** A graph of nodes that write their names. */
    private static StateGraph graph(String... nodes) {
        StateGraph graph = new StateGraph("trip").keyStrategy(LOG, KeyStrategy.APPEND);
        Stream.of(nodes).forEach(node -> graph.addNode(node, (state, run) -> NodeResult.update(LOG, node)));
        return graph;
    }

    /** A graph {@code fork}, two branches {@code a} and {@code b} of one node each, {@code join}. */
    private static StateGraph diamond(NodeAction a, NodeAction b) {
        return edges(
                graph("fork", "join").addNode("a", a).addNode("b", b),
                "start > fork",
                "fork > a b",
                "a > join",
                "b > join",
                "join > end");
    }

    private static List<String> log(NodeOutput output) {
        return output.state().list(LOG);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("run between the node where they start and the one where they meet, which runs once")
    void meet(Way way) {
        CompiledGraph graph = edges(
                        graph("fork", "a", "a2", "b", "join"),
                        "start > fork",
                        "fork > a b",
                        "a > a2",
                        "a2 > join",
                        "b > join",
                        "join > end")
                .compile();

        NodeOutput end = way.end(graph);

        assertThat(log(end)).containsExactly("fork", "a", "a2", "b", "join");
        assertThat(end.isEnd()).isTrue();
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("may start where the run starts and meet where it ends, of which there is one output")
    void fromStartToEnd(Way way) {
        CompiledGraph graph = edges(graph("a", "b", "b2"), "start > a b", "a > end", "b > b2", "b2 > end")
                .compile();

        assertThat(log(way.end(graph))).containsExactly("a", "b", "b2");
        assertThat(graph.stream(Map.of()).filter(NodeOutput::isEnd).count().block())
                .isEqualTo(1);
    }

    @Test
    @DisplayName("run at once, and are merged in the order in which they were added, whichever is done first")
    void orderOfMerge() {
        for (String early : List.of("a", "b")) {
            Map<String, Sinks.One<Map<String, ?>>> sinks = Map.of("a", Sinks.one(), "b", Sinks.one());
            String late = early.equals("a") ? "b" : "a";
            CompiledGraph graph = diamond(
                            (state, run) -> NodeResult.deferred(sinks.get("a").asMono()),
                            (state, run) -> NodeResult.deferred(sinks.get("b").asMono()))
                    .compile();

            StepVerifier.create(graph.stream(Map.of()))
                    .assertNext(output -> assertThat(output.node()).isEqualTo("fork"))
                    .then(() -> sinks.get(early).tryEmitValue(Map.of(LOG, early)))
                    .assertNext(output -> assertThat(output.node()).isEqualTo(early))
                    .then(() -> sinks.get(late).tryEmitValue(Map.of(LOG, late)))
                    .assertNext(output -> assertThat(output.node()).isEqualTo(late))
                    .assertNext(output -> assertThat(log(output)).containsExactly("fork", "a", "b", "join"))
                    .expectNextCount(1)
                    .verifyComplete();
        }
    }

    @Test
    @DisplayName("see the state as it was where they start, and what they wrote themselves")
    void views() {
        Map<String, List<String>> seen = new ConcurrentHashMap<>();
        StateGraph definition = graph("fork", "a", "b", "join");
        for (String node : List.of("lookA", "lookB")) {
            definition.addNode(node, (state, run) -> {
                seen.put(node, state.list(LOG));
                return NodeResult.none();
            });
        }
        CompiledGraph graph = edges(
                        definition,
                        "start > fork",
                        "fork > a b",
                        "a > lookA",
                        "b > lookB",
                        "lookA > join",
                        "lookB > join",
                        "join > end")
                .compile();

        List<NodeOutput> outputs = graph.stream(Map.of()).collectList().block();

        assertThat(seen).containsEntry("lookA", List.of("fork", "a")).containsEntry("lookB", List.of("fork", "b"));
        assertThat(outputs)
                .filteredOn(output -> output.node().equals("lookB"))
                .singleElement()
                .satisfies(output -> assertThat(log(output)).containsExactly("fork", "b"));
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("that write one key which is replaced end the run with an error that names key, fork and join")
    void conflict(Way way) {
        NodeAction writes = (state, run) -> NodeResult.update("city", "Shanghai");

        assertThatExceptionOfType(GraphRunException.class)
                .isThrownBy(() -> way.end(diamond(writes, writes).compile()))
                .withMessage("graph \"trip\": two branches of node \"fork\", which meet at \"join\", both write the key"
                        + " \"city\", and it can be replaced but once: give it a KeyStrategy that merges")
                .satisfies(error -> assertThat(error.node()).isEqualTo("fork"));
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("may replace a key of their own twice, remove one, and the join may replace it again")
    void ownKeys(Way way) {
        Map<String, Object> removing = new HashMap<>(Map.of("b", 1));
        removing.put("gone", null);
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .addNode("fork", (state, run) -> NodeResult.update(Map.of("gone", 1, "kept", 1)))
                                .addNode("a", (state, run) -> NodeResult.update("a", 1))
                                .addNode("a2", (state, run) -> NodeResult.update("a", 2))
                                .addNode("b", (state, run) -> NodeResult.update(removing))
                                .addNode("join", (state, run) -> NodeResult.update("b", 7)),
                        "start > fork",
                        "fork > a b",
                        "a > a2",
                        "a2 > join",
                        "b > join",
                        "join > end")
                .compile();

        assertThat(way.end(graph).state().values())
                .containsExactlyInAnyOrderEntriesOf(Map.of("kept", 1, "a", 2, "b", 7));
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("are merged by whatever strategy a key has, each update once")
    void strategies(Way way) {
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .keyStrategy(
                                        "sum",
                                        (current, update) -> (current == null ? 0 : (int) current) + (int) update)
                                .addNode("fork", (state, run) -> NodeResult.update("sum", 1000))
                                .addNode("a", (state, run) -> NodeResult.update("sum", 100))
                                .addNode("a2", (state, run) -> NodeResult.update("sum", 10))
                                .addNode("b", (state, run) -> NodeResult.update("sum", 1)),
                        "start > fork",
                        "fork > a b",
                        "a > a2",
                        "a2 > end",
                        "b > end")
                .compile();

        assertThat(way.end(graph).state().value("sum")).contains(1111);
    }

    private static CompiledGraph routed(List<String> route) {
        return edges(
                        graph("fork", "a", "b", "c", "join"),
                        "start > fork",
                        "a > join",
                        "b > join",
                        "c > join",
                        "join > end")
                .addParallelEdges("fork", state -> route, Map.of("A", "a", "B", "b", "C", "c", "none", "join"))
                .compile();
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("of a route are those that it names, merged in the order in which it names them")
    void routes(Way way) {
        assertThat(log(way.end(routed(List.of("C", "A"))))).containsExactly("fork", "c", "a", "join");
        assertThat(log(way.end(routed(List.of("B"))))).containsExactly("fork", "b", "join");
        assertThat(log(way.end(routed(List.of("none"))))).containsExactly("fork", "join");
        assertThat(log(way.end(routed(List.of("none", "B"))))).containsExactly("fork", "b", "join");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("of a route that names none, an unknown one or one twice end the run with an error that says so")
    void wrongRoutes(Way way) {
        for (List<String> wrong : List.of(List.<String>of(), List.of("A", "D"), List.of("B", "B"))) {
            assertThatExceptionOfType(GraphRunException.class)
                    .isThrownBy(() -> way.end(routed(wrong)))
                    .withMessage(
                            "graph \"trip\": the route of node \"fork\" names some of [A, B, C, none], no node"
                                    + " twice, but named %s",
                            wrong);
        }
        assertThatExceptionOfType(GraphRunException.class)
                .isThrownBy(() -> way.end(routed(null)))
                .withMessageEndingWith("but named null");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("may loop, branch again to the same join, and start again in each turn of a loop around them")
    void nested(Way way) {
        CompiledGraph graph = edges(
                        graph("fork", "a", "b", "b1", "b2", "join"),
                        "start > fork",
                        "fork > a b",
                        "b > b1 b2",
                        "b1 > join",
                        "b2 > join")
                .addConditionalEdges(
                        "a", state -> log(state, "a") % 3 == 0 ? "on" : "again", Map.of("again", "a", "on", "join"))
                .addConditionalEdges(
                        "join",
                        state -> log(state, "join") == 2 ? "end" : "again",
                        Map.of("again", "fork", "end", StateGraph.END))
                .compile();

        assertThat(String.join(" ", log(way.end(graph)))).isEqualTo("fork a a a b b1 b2 join fork a a a b b1 b2 join");
    }

    private static long log(GraphState state, String node) {
        return state.list(LOG).stream().filter(node::equals).count();
    }

    @Test
    @DisplayName("are as many at once as the settings say, the others follow in their order")
    void bounded() {
        List<String> begun = new CopyOnWriteArrayList<>();
        Map<String, Sinks.One<Map<String, ?>>> sinks = new ConcurrentHashMap<>();
        StateGraph definition = new StateGraph("trip");
        for (String node : List.of("a", "b", "c")) {
            sinks.put(node, Sinks.one());
            definition.addNode(node, (state, run) -> {
                begun.add(node);
                return NodeResult.deferred(sinks.get(node).asMono());
            });
        }
        CompiledGraph graph = edges(definition, "start > a b c", "a > end", "b > end", "c > end")
                .compile(CompileConfig.DEFAULT.withMaxParallel(2));

        StepVerifier.create(graph.stream(Map.of()))
                .then(() -> assertThat(begun).containsExactly("a", "b"))
                .then(() -> sinks.get("b").tryEmitValue(Map.of()))
                .assertNext(output -> assertThat(output.node()).isEqualTo("b"))
                .then(() -> assertThat(begun).containsExactly("a", "b", "c"))
                .then(() -> sinks.get("a").tryEmitValue(Map.of()))
                .then(() -> sinks.get("c").tryEmitValue(Map.of()))
                .expectNextCount(3)
                .verifyComplete();
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("run on the schedulers of their nodes, whatever these return")
    void schedulers(Way way) {
        Scheduler first = Schedulers.newSingle("first");
        Scheduler second = Schedulers.newSingle("second");
        Map<String, String> threads = new ConcurrentHashMap<>();
        try {
            CompiledGraph graph = edges(
                            new StateGraph("trip")
                                    .addNode(
                                            "value",
                                            (state, run) -> {
                                                threads.put("value", thread());
                                                return NodeResult.none();
                                            },
                                            NodeConfig.DEFAULT.withScheduler(first))
                                    .addNode(
                                            "chunks",
                                            (state, run) -> NodeResult.chunks(
                                                    Flux.defer(() -> {
                                                        threads.put("chunks", thread());
                                                        return Flux.just("x");
                                                    }),
                                                    () -> ChunkJoiner.text("text")),
                                            NodeConfig.DEFAULT.withScheduler(second))
                                    .addNode(
                                            "blocking",
                                            (state, run) -> NodeResult.blocking(() -> {
                                                threads.put("blocking", thread());
                                                return Map.of();
                                            }),
                                            NodeConfig.DEFAULT.withScheduler(second)),
                            "start > value chunks",
                            "value > blocking",
                            "blocking > end",
                            "chunks > end")
                    .compile();

            way.end(graph);

            assertThat(threads)
                    .containsExactlyInAnyOrderEntriesOf(
                            Map.of("value", "first", "chunks", "second", "blocking", "second"));
        } finally {
            first.dispose();
            second.dispose();
        }
    }

    private static String thread() {
        return Thread.currentThread().getName().replaceAll("-.*", "");
    }

    @Test
    @DisplayName("do not begin before an output is asked for, and are one output ahead of what is")
    void demand() {
        Map<String, AtomicInteger> made = Map.of("a", new AtomicInteger(), "b", new AtomicInteger());
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .addNode("a", counts(made.get("a")))
                                .addNode("b", counts(made.get("b"))),
                        "start > a b",
                        "a > end",
                        "b > end")
                .compile();

        StepVerifier.create(graph.stream(Map.of()), 0)
                .expectSubscription()
                .then(() -> assertThat(made.values())
                        .allSatisfy(count -> assertThat(count).hasValue(0)))
                .thenRequest(1)
                .expectNextCount(1)
                .then(() -> assertThat(made.get("a")).hasValue(2))
                .then(() -> assertThat(made.get("b")).hasValue(1))
                .thenRequest(2)
                .expectNextCount(2)
                .then(() ->
                        assertThat(made.get("a").get() + made.get("b").get()).isEqualTo(5))
                .thenCancel()
                .verify();
    }

    private static NodeAction counts(AtomicInteger made) {
        return (state, run) -> NodeResult.chunks(
                Flux.range(0, 50).doOnNext(i -> made.incrementAndGet()).map(String::valueOf), Discarding::new);
    }

    private record Discarding() implements ChunkJoiner<String> {

        @Override
        public String add(String chunk) {
            return chunk;
        }

        @Override
        public Map<String, ?> update() {
            return Map.of();
        }
    }

    @Test
    @DisplayName("lose nothing to a slow consumer, who gets from each in turn")
    void slowConsumer() {
        CompiledGraph graph = edges(
                        new StateGraph("trip")
                                .addNode("a", counts(new AtomicInteger()))
                                .addNode("b", counts(new AtomicInteger()))
                                .addNode("c", counts(new AtomicInteger())),
                        "start > a b c",
                        "a > end",
                        "b > end",
                        "c > end")
                .compile();

        for (int demand : new int[] {1, 2, 7}) {
            List<NodeOutput> outputs =
                    graph.stream(Map.of()).limitRate(demand).collectList().block();

            assertThat(outputs).hasSize(3 * 51 + 1);
            for (String node : List.of("a", "b", "c")) {
                assertThat(outputs.stream()
                                .filter(output -> output.node().equals(node))
                                .map(output -> ((StreamingOutput) output).text())
                                .toList())
                        .hasSize(51)
                        .startsWith("0", "1", "2")
                        .endsWith("48", "49", "");
                assertThat(outputs.subList(0, 75))
                        .as("first half, asked for %d at a time", demand)
                        .filteredOn(output -> output.node().equals(node))
                        .hasSizeBetween(18, 32);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("count together against the limit on node executions")
    void maxIterations(Way way) {
        StateGraph definition = edges(graph("a", "b", "c"), "start > a b", "a > c", "b > c", "c > end");

        assertThat(log(way.end(definition.compile(CompileConfig.DEFAULT.withMaxIterations(3)))))
                .containsExactly("a", "b", "c");
        assertThatExceptionOfType(MaxIterationsException.class)
                .isThrownBy(() -> way.end(definition.compile(CompileConfig.DEFAULT.withMaxIterations(2))))
                .withMessage("graph \"trip\": maxIterations is 2, and node \"c\" would be one more");
    }

    @Test
    @DisplayName("have the state of the join merged from Monos of many threads, the same each time")
    void manyThreads() {
        StateGraph definition = new StateGraph("trip").keyStrategy(LOG, KeyStrategy.APPEND);
        List<String> nodes =
                Stream.iterate(0, i -> i + 1).limit(20).map(i -> "n" + i).toList();
        for (String node : nodes) {
            definition
                    .addNode(
                            node,
                            (state, run) -> NodeResult.deferred(
                                    Mono.<Map<String, ?>>just(Map.of(LOG, node)).subscribeOn(Schedulers.parallel())))
                    .addEdge(StateGraph.START, node)
                    .addEdge(node, StateGraph.END);
        }
        CompiledGraph graph = definition.compile();

        for (int i = 0; i < 200; i++) {
            assertThat(log(graph.invoke(Map.of()).block())).isEqualTo(nodes);
        }
    }
}
