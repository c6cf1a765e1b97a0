package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

@Label("a random graph of lines, branches and sub-graphs")
class RandomGraphsTest {

    /** A part of a graph; what it is billed is the sum of its models. */
    private sealed interface Shape {}

    /** A node that asks a model that is billed so much. */
    private record Ask(int input, int output, UsageAt usageAt) implements Shape {}

    private record Line(List<Shape> parts) implements Shape {}

    private record Branches(List<Shape> parts, int atOnce) implements Shape {}

    private record Sub(Shape inside, boolean shared) implements Shape {}

    /** Makes graphs of shapes, and notes what they are billed. */
    private static final class Maker {

        private final UnaryOperator<Flux<ChatResponse>> transport;
        private final CompileConfig config;
        private final List<String> texts = new ArrayList<>();
        private TokenUsage billed = TokenUsage.ZERO;
        private int requests;
        private int nodes;

        Maker(UnaryOperator<Flux<ChatResponse>> transport, UsageRecorder recorder) {
            this.transport = transport;
            this.config = CompileConfig.DEFAULT.withRecorder(recorder);
        }

        CompiledGraph graph(Shape shape, int atOnce, boolean shared) {
            StateGraph graph = new StateGraph("random " + nodes).keyStrategy(Graphs.ANSWERS, KeyStrategy.APPEND);
            graph.addEdge(add(graph, StateGraph.START, shape, shared), StateGraph.END);
            return graph.compile(config.withMaxParallel(atOnce));
        }

        /** Adds the shape behind a node; returns its last node. */
        private String add(StateGraph graph, String from, Shape shape, boolean seen) {
            if (shape instanceof Ask ask) {
                String id = "n" + nodes++;
                if (seen) {
                    texts.add(id);
                }
                billed = billed.plus(TokenUsage.of(ask.input, ask.output));
                requests++;
                ScriptedModel model = ScriptedModel.of(Turn.says(ask.input, ask.output, id.split("(?<=n)")))
                        .with(ask.usageAt)
                        .over(transport);
                // Each asks without the answers so far, since a scripted model has one turn.
                NodeAction asking = asks(model);
                graph.addNode(id, (state, run) -> asking.apply(GraphState.EMPTY, run))
                        .addEdge(from, id);
                return id;
            }
            if (shape instanceof Line line) {
                String last = from;
                for (Shape part : line.parts) {
                    last = add(graph, last, part, seen);
                }
                return last;
            }
            if (shape instanceof Branches branches) {
                String fork = "n" + nodes++;
                String join = "n" + nodes++;
                graph.addNode(fork, (state, run) -> NodeResult.none()).addEdge(from, fork);
                graph.addNode(join, (state, run) -> NodeResult.none());
                branches.parts.forEach(part -> graph.addEdge(add(graph, fork, part, seen), join));
                return join;
            }
            Sub sub = (Sub) shape;
            String id = "n" + nodes++;
            CompiledGraph inside = graph(sub.inside, 2, seen && sub.shared);
            graph.addNode(id, sub.shared ? inside.asNode() : inside.asNode(state -> Map.of(), state -> Map.of()))
                    .addEdge(from, id);
            return id;
        }
    }

    @Provide
    Arbitrary<Shape> shapes() {
        return shapes(3);
    }

    private static Arbitrary<Shape> shapes(int depth) {
        Arbitrary<Shape> asks = Arbitraries.integers()
                .between(1, 10_000)
                .flatMap(input -> Arbitraries.integers()
                        .between(0, 1_000)
                        .flatMap(output ->
                                Arbitraries.of(UsageAt.values()).map(usageAt -> new Ask(input, output, usageAt))));
        if (depth == 0) {
            return asks;
        }
        Arbitrary<List<Shape>> parts = shapes(depth - 1).list().ofMinSize(2).ofMaxSize(3);
        return Arbitraries.oneOf(
                asks,
                parts.map(Line::new),
                parts.flatMap(list -> Arbitraries.integers().between(1, 4).map(atOnce -> new Branches(list, atOnce))),
                shapes(depth - 1)
                        .flatMap(inside -> Arbitraries.of(true, false).map(shared -> new Sub(inside, shared))));
    }

    private static void assertExact(NodeOutput end, Maker made, UsageRecorder recorder) {
        RunUsage usage = end.runUsage();
        assertThat(usage.total()).isEqualTo(made.billed);
        assertThat(usage.requests()).hasSize(made.requests);
        assertThat(usage.requests().stream().map(request -> request.usage()).reduce(TokenUsage.ZERO, TokenUsage::plus))
                .isEqualTo(made.billed);
        assertThat(usage.isComplete()).isTrue();
        for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
            assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(made.billed);
        }
        assertThat(end.state().<Message>list(Graphs.ANSWERS))
                .as("answers, in the order in which the branches were declared")
                .extracting(Message::getText)
                .containsExactlyElementsOf(made.texts);
        assertThat(recorder.unattributed()).isZero();
    }

    private static void check(Shape shape, UnaryOperator<Flux<ChatResponse>> transport) {
        for (int demand : new int[] {1, 256}) {
            UsageRecorder recorder = UsageRecorder.withSinks();
            Maker made = new Maker(transport, recorder);
            CompiledGraph graph = made.graph(shape, shape instanceof Branches branches ? branches.atOnce : 3, true);

            assertExact(graph.stream(Map.of()).limitRate(demand).blockLast(Duration.ofSeconds(30)), made, recorder);
            assertExact(graph.invoke(Map.of()).block(Duration.ofSeconds(30)), made, recorder);
            assertThat(recorder.processSum().total()).isEqualTo(made.billed.plus(made.billed));
        }
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    @Label("has a total that is what was billed, and so has every view, where each model answers at once")
    void onOneThread(@ForAll("shapes") Shape shape) {
        check(shape, chunks -> chunks);
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    @Label("has the same where models answer on many threads")
    void onManyThreads(@ForAll("shapes") Shape shape) {
        check(shape, chunks -> chunks.publishOn(Schedulers.parallel()));
    }
}
