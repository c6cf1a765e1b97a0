package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.InMemoryCheckpointSaver;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

@Label(
        "a random graph whose models break off and are asked again, and whose run is interrupted, cancelled, resumed and forked")
class RandomRunsTest {

    /** A part of a graph. */
    private sealed interface Shape {}

    /**
     * A node that asks a model.
     *
     * @param input what the model bills for each answer
     * @param output what the model bills for each answer
     * @param usageAt where in the stream it says so
     * @param cuts after how many chunks its first answers break off
     * @param retries how often it is asked again
     * @param fallback whether another model is asked if it breaks off for good; that one breaks off as often
     * @param before whether the run is interrupted before the node
     * @param after whether the run is interrupted after it
     */
    private record Ask(
            int input,
            int output,
            UsageAt usageAt,
            List<Integer> cuts,
            int retries,
            boolean fallback,
            boolean before,
            boolean after)
            implements Shape {}

    private record Line(List<Shape> parts) implements Shape {}

    private record Branches(List<Shape> parts) implements Shape {}

    private record Sub(Shape inside, boolean shared, int retries) implements Shape {}

    /** What the models have billed, by the ids of their answers. */
    private static final class Provider {

        private final UnaryOperator<Flux<ChatResponse>> transport;
        private final Map<String, TokenUsage> bills = new ConcurrentHashMap<>();
        private final AtomicInteger asked = new AtomicInteger();

        Provider(UnaryOperator<Flux<ChatResponse>> transport) {
            this.transport = transport;
        }

        private String bill(Ask ask) {
            String id = "response-" + asked.incrementAndGet();
            bills.put(id, TokenUsage.of(ask.input, ask.output));
            return id;
        }

        ChatModel model(String text, Ask ask) {
            Turn turn = Turn.says(ask.input, ask.output, text.split("(?<=n)"));
            Queue<Integer> cuts = new ConcurrentLinkedQueue<>(ask.cuts);
            return new ChatModel() {
                @Override
                public ChatResponse call(Prompt prompt) {
                    String id = bill(ask);
                    if (cuts.poll() != null) {
                        throw new IllegalStateException("broken off");
                    }
                    return turn.whole(id);
                }

                @Override
                public Flux<ChatResponse> stream(Prompt prompt) {
                    return Flux.defer(() -> {
                        Flux<ChatResponse> chunks =
                                transport.apply(Flux.fromIterable(turn.chunks(bill(ask), ask.usageAt)));
                        Integer cut = cuts.poll();
                        return cut == null
                                ? chunks
                                : chunks.take(cut).concatWith(Flux.error(new IllegalStateException("broken off")));
                    });
                }
            };
        }
    }

    /** Makes graphs of shapes. */
    private static final class Maker {

        private final Provider provider;
        private final CompileConfig config;
        private final List<String> texts = new ArrayList<>();
        private int nodes;

        Maker(Provider provider, UsageRecorder recorder) {
            this.provider = provider;
            this.config = CompileConfig.DEFAULT.withRecorder(recorder);
        }

        CompiledGraph graph(Shape shape, boolean seen, @Nullable CheckpointSaver saver) {
            StateGraph graph = new StateGraph("random " + nodes).keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND);
            Set<String> before = new HashSet<>();
            Set<String> after = new HashSet<>();
            graph.addEdge(add(graph, StateGraph.START, shape, seen, before, after), StateGraph.END);
            CompileConfig with = config.withInterruptBefore(before.toArray(String[]::new))
                    .withInterruptAfter(after.toArray(String[]::new));
            return graph.compile(saver == null ? with : with.withCheckpoints(saver));
        }

        private static NodeConfig tries(int retries) {
            return retries == 0 ? NodeConfig.DEFAULT : NodeConfig.DEFAULT.withRetry(Retry.max(retries));
        }

        /** Adds the shape behind a node; returns its last node. */
        private String add(
                StateGraph graph, String from, Shape shape, boolean seen, Set<String> before, Set<String> after) {
            if (shape instanceof Ask ask) {
                String id = "n" + nodes++;
                if (seen) {
                    texts.add(id);
                }
                if (ask.before) {
                    before.add(id);
                }
                if (ask.after) {
                    after.add(id);
                }
                LlmNode asks = new LlmNode(provider.model(id, ask), state -> new Prompt("?"), Graphs.ANSWERS);
                NodeConfig tries = tries(ask.retries);
                graph.addNode(id, asks, ask.fallback ? tries.withFallback(asks.asking(provider.model(id, ask))) : tries)
                        .addEdge(from, id);
                return id;
            }
            if (shape instanceof Line line) {
                String last = from;
                for (Shape part : line.parts) {
                    last = add(graph, last, part, seen, before, after);
                }
                return last;
            }
            if (shape instanceof Branches branches) {
                String fork = "n" + nodes++;
                String join = "n" + nodes++;
                graph.addNode(fork, (state, run) -> NodeResult.none()).addEdge(from, fork);
                graph.addNode(join, (state, run) -> NodeResult.none());
                branches.parts.forEach(part -> graph.addEdge(add(graph, fork, part, seen, before, after), join));
                return join;
            }
            Sub sub = (Sub) shape;
            String id = "n" + nodes++;
            CompiledGraph inside = graph(sub.inside, seen && sub.shared, null);
            graph.addNode(
                            id,
                            sub.shared ? inside.asNode() : inside.asNode(state -> Map.of(), state -> Map.of()),
                            tries(sub.retries))
                    .addEdge(from, id);
            return id;
        }
    }

    @Provide
    Arbitrary<Shape> shapes() {
        return shapes(3);
    }

    private static Arbitrary<Shape> shapes(int depth) {
        Arbitrary<Shape> asks = Combinators.combine(
                        Arbitraries.integers().between(1, 10_000),
                        Arbitraries.integers().between(1, 1_000),
                        Arbitraries.of(UsageAt.values()),
                        Arbitraries.frequencyOf(
                                Tuple.of(3, Arbitraries.just(List.<Integer>of())),
                                Tuple.of(
                                        1,
                                        Arbitraries.integers()
                                                .between(0, 4)
                                                .list()
                                                .ofMinSize(1)
                                                .ofMaxSize(2))),
                        Arbitraries.of(0, 0, 1, 2),
                        rarely(),
                        rarely(),
                        rarely())
                .as(Ask::new);
        if (depth == 0) {
            return asks;
        }
        Arbitrary<List<Shape>> parts = shapes(depth - 1).list().ofMinSize(2).ofMaxSize(3);
        return Arbitraries.oneOf(
                asks,
                parts.map(Line::new),
                parts.map(Branches::new),
                Combinators.combine(shapes(depth - 1), Arbitraries.of(true, false), Arbitraries.of(0, 0, 1, 2))
                        .as(Sub::new));
    }

    private static Arbitrary<Boolean> rarely() {
        return Arbitraries.of(true, false, false, false);
    }

    /** After how many outputs subscribers leave, one after the other. */
    @Provide
    Arbitrary<List<Integer>> departures() {
        return Arbitraries.integers().between(1, 8).list().ofMaxSize(3);
    }

    /** Runs a thread to its end, resuming it whatever happens; the first subscribers leave after so many outputs. */
    private static NodeOutput toTheEnd(GraphThread thread, boolean begun, boolean streaming, List<Integer> departures) {
        Deque<Integer> leaving = new ArrayDeque<>(departures);
        boolean started = begun;
        for (int tries = 0; tries < 1_000; tries++) {
            Flux<NodeOutput> run = started
                    ? streaming
                            ? thread.resumeStream(Map.of())
                            : thread.resumeInvoke(Map.of()).flux()
                    : streaming
                            ? thread.stream(Map.of())
                            : thread.invoke(Map.of()).flux();
            started = true;
            Integer outputs = leaving.poll();
            try {
                NodeOutput last = (outputs == null ? run : run.take(outputs)).blockLast(Duration.ofSeconds(30));
                assertFolds(last.runUsage());
                if (last.isEnd()) {
                    return last;
                }
            } catch (GraphRunException broken) {
                assertThat(broken).hasRootCauseMessage("broken off");
                assertFolds(broken.usage());
            }
        }
        throw new AssertionError("the run does not end");
    }

    private static void assertFolds(RunUsage usage) {
        assertThat(usage.requests().stream()
                        .map(RequestUsage::usage)
                        .map(tokens -> tokens == null ? TokenUsage.ZERO : tokens)
                        .reduce(TokenUsage.ZERO, TokenUsage::plus))
                .isEqualTo(usage.total());
        for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
            assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(usage.total());
            assertThat(view.values().stream().mapToLong(UsageSum::requests).sum())
                    .isEqualTo(usage.sum().requests());
        }
    }

    /** Each request has the bill of its answer if it says that it is reported, and never more. */
    private static void assertBilled(RunUsage usage, Provider provider) {
        for (RequestUsage request : usage.requests()) {
            TokenUsage tokens = request.usage();
            if (tokens != null) {
                TokenUsage bill = provider.bills.get(request.responseId());
                assertThat(tokens.inputTokens()).isLessThanOrEqualTo(bill.inputTokens());
                assertThat(tokens.outputTokens()).isLessThanOrEqualTo(bill.outputTokens());
                if (request.source() == UsageSource.REPORTED) {
                    assertThat(tokens).isEqualTo(bill);
                }
            }
        }
    }

    private static void assertAnswers(NodeOutput end, Maker made) {
        assertThat(end.state().<Message>list(Graphs.ANSWERS))
                .as("answers, each once, in the order in which the branches were declared")
                .extracting(Message::getText)
                .containsExactlyElementsOf(made.texts);
    }

    private static void check(
            Shape shape, List<Integer> departures, boolean streaming, UnaryOperator<Flux<ChatResponse>> transport) {
        Provider provider = new Provider(transport);
        UsageRecorder recorder = UsageRecorder.withSinks();
        Maker made = new Maker(provider, recorder);
        CheckpointSaver saver = new InMemoryCheckpointSaver();
        CompiledGraph graph = made.graph(shape, true, saver);
        GraphThread thread = graph.thread("run");

        NodeOutput end = toTheEnd(thread, false, streaming, departures);

        RunUsage usage = end.runUsage();
        assertAnswers(end, made);
        assertBilled(usage, provider);
        awaitBooked(recorder, provider);
        if (usage.inFlight() == 0) {
            assertThat(usage.sum().requests()).isEqualTo(provider.asked.get());
            assertThat(usage.total()).isEqualTo(recorder.processSum().total());
        } else {
            // Figures that came when the run had been resumed already: it says that some are unknown.
            assertThat(usage.sum().requests()).isLessThanOrEqualTo(provider.asked.get());
        }
        assertThat(recorder.unattributed()).isZero();
        assertThat(thread.last().block().usage()).isEqualTo(usage);

        for (StateSnapshot snapshot : thread.history().collectList().block()) {
            if (snapshot.number() % 3 == 1 && !ended(snapshot)) {
                int before = provider.asked.get();
                GraphThread fork = thread.fork(snapshot.number(), "fork " + snapshot.number())
                        .block();
                NodeOutput forked = toTheEnd(fork, true, streaming, List.of());
                assertAnswers(forked, made);
                assertBilled(forked.runUsage(), provider);
                awaitBooked(recorder, provider);
                assertThat(forked.runUsage().sum().requests()
                                + forked.runUsage().inFlight())
                        .isGreaterThanOrEqualTo(snapshot.usage().sum().requests() + provider.asked.get() - before);
                assertThat(forked.runUsage().requests())
                        .containsAll(snapshot.usage().requests());
            }
        }
        assertThat(thread.last().block().usage()).as("forks do not touch it").isEqualTo(usage);
    }

    /** Blocking calls that were cancelled are booked by their own threads. */
    private static void awaitBooked(UsageRecorder recorder, Provider provider) {
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (recorder.processSum().requests() < provider.asked.get() && System.nanoTime() < deadline) {
            Thread.onSpinWait();
        }
        assertThat(recorder.processSum().requests()).isEqualTo(provider.asked.get());
    }

    private static boolean ended(StateSnapshot snapshot) {
        return snapshot.status() == Checkpoint.Status.ENDED;
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    @Label("has in its total every request once, and no figure above the bill, where each model answers at once")
    void onOneThread(
            @ForAll("shapes") Shape shape, @ForAll("departures") List<Integer> departures, @ForAll boolean streaming) {
        check(shape, departures, streaming, chunks -> chunks);
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    @Label("has the same where models answer on many threads")
    void onManyThreads(
            @ForAll("shapes") Shape shape, @ForAll("departures") List<Integer> departures, @ForAll boolean streaming) {
        check(shape, departures, streaming, chunks -> chunks.publishOn(Schedulers.parallel()));
    }
}
