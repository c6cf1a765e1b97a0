package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SynchronousSink;
import reactor.util.context.ContextView;

/**
 * A graph that can run, any number of times at once. Each subscription is a run of its own; if it is subscribed to inside
 * another run, it is a part of that one and its usage is counted there too, once.
 *
 * <p>Immutable and safe for use by any number of threads. Steps are iterated, not nested: a run may have any number of
 * them in constant stack.
 */
public final class CompiledGraph {

    private final String name;
    private final Map<String, NodeExecutor> executors = new LinkedHashMap<>();
    private final Map<String, StateGraph.Edge> edges;

    /** Where branches meet, by the node at which they start. */
    private final Map<String, String> joins;

    private final Map<String, KeyStrategy> keyStrategies;
    private final CompileConfig config;

    CompiledGraph(
            String name,
            Map<String, StateGraph.Node> nodes,
            Map<String, StateGraph.Edge> edges,
            Map<String, String> joins,
            Map<String, KeyStrategy> keyStrategies,
            CompileConfig config) {
        this.name = name;
        nodes.forEach((node, definition) -> executors.put(node, new NodeExecutor(node, definition)));
        this.edges = Map.copyOf(edges);
        this.joins = Map.copyOf(joins);
        this.keyStrategies = Map.copyOf(keyStrategies);
        this.config = config;
    }

    /** The graph's name. */
    public String name() {
        return name;
    }

    /** The graph as a drawing. */
    public GraphDrawing drawing() {
        return GraphDrawing.of(name, config.agent(), executors.keySet(), edges);
    }

    /**
     * Runs the graph, its model calls streamed. The last output is that of {@link StateGraph#END}.
     *
     * @param input the first values of the state
     * @return the outputs as they come; errors are {@link GraphRunException}s
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Flux<NodeOutput> stream(Map<String, ?> input) {
        return run(input, true);
    }

    /**
     * Runs the graph, its model calls not streamed, and gives the output of {@link StateGraph#END}.
     *
     * @param input the first values of the state
     * @return the last output; errors are {@link GraphRunException}s
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Mono<NodeOutput> invoke(Map<String, ?> input) {
        return run(input, false).last();
    }

    /**
     * This graph as a node of another, on that one's state: it sees all of it, and what its nodes write is written there,
     * each update once. The other must merge the keys that have a {@link KeyStrategy} here by the same one.
     *
     * <p>Its outputs are outputs of the run, with the node in their {@link NodeOutput#path() path}. The output of its end
     * is left out: in its place is that of the node, whose usage is all that the sub-graph has used. Its limit on node
     * executions is its own.
     */
    public NodeAction asNode() {
        return new SharedSubGraph(this);
    }

    /**
     * This graph as a node of another, with a state of its own. The outputs are those of {@link #asNode()}.
     *
     * @param input the first values of its state, given that of the graph around it
     * @param update what the node writes, given its state at the end
     */
    public NodeAction asNode(
            Function<? super GraphState, ? extends Map<String, ?>> input,
            Function<? super GraphState, ? extends Map<String, ?>> update) {
        Objects.requireNonNull(input, "input");
        Objects.requireNonNull(update, "update");
        return (state, run) -> NodeResult.subGraph(this, input.apply(state), update);
    }

    private Flux<NodeOutput> run(Map<String, ?> input, boolean streaming) {
        GraphState state = begin(input);
        return Flux.deferContextual(context -> {
            RunScope scope = openScope(context);
            GraphRunnerContext run = new GraphRunnerContext(this, scope, streaming, state);
            return steps(run).contextWrite(scope::writeTo);
        });
    }

    Flux<NodeOutput> steps(GraphRunnerContext run) {
        // Without prefetch the next step is not asked for before the last one is through, and generate() turns requests
        // that come in from inside a step into another turn of its loop.
        return Flux.<Flux<NodeOutput>>generate(steps -> step(run, steps)).concatMap(Function.identity(), 0);
    }

    private RunScope openScope(ContextView context) {
        UsageScope outer = UsageScope.current(context);
        RunScope outerRun = outer == null ? null : outer.runScope();
        return configure(outerRun == null ? RunScope.start() : outerRun.branch());
    }

    /** The scope of a run of this graph, or of its part in another: with its limits, and under its agent's name. */
    RunScope configure(RunScope scope) {
        RunScope limited = config.limits().equals(UsageLimits.NONE) ? scope : scope.withLimits(config.limits());
        return config.agent() == null ? limited : limited.withAgent(config.agent());
    }

    /** The state that a run begins with. */
    GraphState begin(Map<String, ?> input) {
        input.keySet().forEach(key -> GraphValidation.checkKey(name, key));
        return GraphState.EMPTY.with(input, keyStrategies);
    }

    private void step(GraphRunnerContext run, SynchronousSink<Flux<NodeOutput>> steps) {
        if (run.isAtEnd()) {
            steps.complete();
            return;
        }
        List<String> targets = run.advance();
        String next = targets.get(0);
        if (targets.size() > 1) {
            steps.next(branches(run, targets));
        } else if (run.endsAt(next)) {
            steps.complete();
        } else {
            run.moveTo(next);
            steps.next(
                    run.isAtEnd()
                            ? Flux.just(new NodeOutput(next, run, RunUsage.EMPTY))
                            : executor(next).execute(run));
        }
    }

    /** Runs branches at once, each at most one output ahead of what is asked for, until they have met. */
    private Flux<NodeOutput> branches(GraphRunnerContext run, List<String> targets) {
        String join = Objects.requireNonNull(joins.get(run.node()), "join");
        List<GraphRunnerContext> branches =
                targets.stream().map(target -> run.branch(target, join)).toList();
        return NodeExecutor.onDemand(
                        run, it -> Flux.fromIterable(branches).flatMap(this::steps, config.maxParallel(), 1))
                .doOnComplete(() -> run.join(branches, join))
                .onErrorMap(error -> settled(run, error));
    }

    /** The first of the errors that came at once, with what the run has used now that all its branches are cancelled. */
    private static Throwable settled(GraphRunnerContext run, Throwable error) {
        List<Throwable> errors = Exceptions.unwrapMultiple(error);
        Throwable first = errors.get(0);
        errors.stream().skip(1).filter(other -> other != first).forEach(first::addSuppressed);
        if (first instanceof GraphRunException failure) {
            failure.settle(run.usage());
        }
        return first;
    }

    private NodeExecutor executor(String node) {
        NodeExecutor executor = executors.get(node);
        if (executor == null) {
            throw new NoSuchElementException(node);
        }
        return executor;
    }

    List<String> next(String node, GraphState state, GraphRunnerContext run) {
        StateGraph.Edge edge = edges.get(node);
        if (edge == null) {
            throw new NoSuchElementException(node);
        }
        List<String> names;
        UsageScope.Binding binding = run.scope().bind();
        try (binding) {
            names = edge.names().apply(state);
        } catch (Exception error) {
            throw new NodeFailedException(name, node, run.usage(), error);
        }
        List<String> targets = names == null
                ? List.of()
                : names.stream()
                        .flatMap(choice -> Stream.ofNullable(
                                choice == null ? null : edge.targets().get(choice)))
                        .distinct()
                        .toList();
        if (names == null || targets.isEmpty() || targets.size() < names.size()) {
            throw new GraphRunException(wrongRoute(node, edge, names), name, node, run.usage(), null);
        }
        return targets;
    }

    private String wrongRoute(String node, StateGraph.Edge edge, @Nullable List<String> names) {
        Set<String> known = edge.targets().keySet();
        return edge.isParallel()
                ? "graph \"%s\": the route of node \"%s\" names some of %s, no node twice, but named %s"
                        .formatted(name, node, known, names)
                : "graph \"%s\": the condition of node \"%s\" names one of %s, but named \"%s\""
                        .formatted(name, node, known, names == null ? null : names.get(0));
    }

    long maxIterations() {
        return config.maxIterations();
    }

    UsageRecorder recorder() {
        return config.recorder();
    }

    Map<String, KeyStrategy> keyStrategies() {
        return keyStrategies;
    }
}
