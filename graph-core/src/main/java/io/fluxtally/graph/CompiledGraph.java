package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Function;
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
    private final Map<String, KeyStrategy> keyStrategies;
    private final CompileConfig config;

    CompiledGraph(
            String name,
            Map<String, NodeAction> nodes,
            Map<String, StateGraph.Edge> edges,
            Map<String, KeyStrategy> keyStrategies,
            CompileConfig config) {
        this.name = name;
        nodes.forEach((node, action) -> executors.put(node, new NodeExecutor(node, action)));
        this.edges = Map.copyOf(edges);
        this.keyStrategies = Map.copyOf(keyStrategies);
        this.config = config;
    }

    /** The graph's name. */
    public String name() {
        return name;
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

    private Flux<NodeOutput> run(Map<String, ?> input, boolean streaming) {
        input.keySet().forEach(key -> GraphValidation.checkKey(name, key));
        GraphState state = GraphState.EMPTY.with(input, keyStrategies);
        return Flux.deferContextual(context -> {
            RunScope scope = openScope(context);
            GraphRunnerContext run = new GraphRunnerContext(this, scope, streaming, state);
            // Without prefetch the next step is not asked for before the last one is through, and generate() turns
            // requests that come in from inside a step into another turn of its loop.
            return Flux.<Flux<NodeOutput>>generate(steps -> step(run, steps))
                    .concatMap(Function.identity(), 0)
                    .contextWrite(scope::writeTo);
        });
    }

    private RunScope openScope(ContextView context) {
        UsageScope outer = UsageScope.current(context);
        RunScope outerRun = outer == null ? null : outer.runScope();
        RunScope scope = outerRun == null ? RunScope.start() : outerRun.branch();
        return config.agent() == null ? scope : scope.withAgent(config.agent());
    }

    private void step(GraphRunnerContext run, SynchronousSink<Flux<NodeOutput>> steps) {
        if (run.isAtEnd()) {
            steps.complete();
            return;
        }
        String next = run.advance();
        if (next.equals(StateGraph.END)) {
            steps.next(Flux.just(new NodeOutput(next, run.agent(), run.state(), RunUsage.EMPTY, run.usage())));
        } else {
            steps.next(executor(next).execute(run));
        }
    }

    private NodeExecutor executor(String node) {
        NodeExecutor executor = executors.get(node);
        if (executor == null) {
            throw new NoSuchElementException(node);
        }
        return executor;
    }

    String next(String node, GraphState state, GraphRunnerContext run) {
        StateGraph.Edge edge = edges.get(node);
        if (edge == null) {
            throw new NoSuchElementException(node);
        }
        String choice;
        UsageScope.Binding binding = run.scope().bind();
        try (binding) {
            choice = edge.condition().apply(state);
        } catch (Exception error) {
            throw new NodeFailedException(name, node, run.usage(), error);
        }
        String target = choice == null ? null : edge.targets().get(choice);
        if (target == null) {
            throw new GraphRunException(
                    "graph \"%s\": the condition of node \"%s\" names one of %s, but named \"%s\""
                            .formatted(name, node, edge.targets().keySet(), choice),
                    name,
                    node,
                    run.usage(),
                    null);
        }
        return target;
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
