package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * Executes one node: in a usage scope of its own, its chunks heard before any filter sees them, its update with the usage
 * captured merged into the run before its completion goes out.
 */
final class NodeExecutor {

    private final String node;
    private final NodeAction action;
    private final @Nullable Scheduler scheduler;

    NodeExecutor(String node, StateGraph.Node definition) {
        this.node = node;
        this.action = definition.action();
        this.scheduler = definition.scheduler();
    }

    /** The outputs of one execution, which begins when the first of them is requested. */
    Flux<NodeOutput> execute(GraphRunnerContext run) {
        Flux<NodeOutput> outputs = onDemand(run, it -> {
            RunScope scope = it.enter(node);
            return outputs(it, scope, apply(it, scope)).contextWrite(scope::writeTo);
        });
        return (scheduler == null ? outputs : outputs.subscribeOn(scheduler))
                // That of a run inside this node too: its usage is not all that this run has used.
                .onErrorMap(error -> new NodeFailedException(run.graph(), node, run.usage(), error));
    }

    /**
     * What the run comes to, from when an output is requested. Unlike defer() this waits for that: a step is taken as soon
     * as the last one is through, but what it does is not to begin before somebody asks for its output.
     */
    static Flux<NodeOutput> onDemand(GraphRunnerContext run, Function<GraphRunnerContext, Flux<NodeOutput>> work) {
        // Hidden, since concatMap() subscribes to a scalar at once.
        return Flux.just(run).hide().concatMap(it -> it.isStopped() ? Flux.never() : work.apply(it), 0);
    }

    private NodeResult apply(GraphRunnerContext run, RunScope scope) {
        UsageScope.Binding binding = scope.bind();
        try (binding) {
            return Objects.requireNonNull(action.apply(run.state(), run), "a node's result must not be null");
        }
    }

    private Flux<NodeOutput> outputs(GraphRunnerContext run, RunScope scope, NodeResult result) {
        if (result instanceof NodeResult.Update update) {
            return Flux.just(completed(run, scope, update.values()));
        }
        if (result instanceof NodeResult.Deferred deferred) {
            return whenThere(run, scope, deferred.values());
        }
        if (result instanceof NodeResult.Blocking blocking) {
            // One of the node's own it is on already.
            Scheduler worker = scheduler == null ? Schedulers.boundedElastic() : Schedulers.immediate();
            return whenThere(run, scope, BlockingWork.on(worker, scope, blocking.work()));
        }
        if (result instanceof NodeResult.SubGraph sub) {
            GraphRunnerContext inner = run.inside(sub.graph(), scope, sub.input());
            return nested(run, inner, () -> completed(run, scope, sub.update().apply(inner.state())));
        }
        if (result instanceof SharedSubGraph shared) {
            GraphRunnerContext inner = run.inside(shared.graph(), scope);
            return nested(run, inner, () -> {
                run.merge(inner);
                return new NodeOutput(node, run, scope.usage());
            });
        }
        return streamed(run, scope, (NodeResult.Chunks<?>) result);
    }

    /** The outputs of a sub-graph, and that of the node, unless the sub-graph waits: then the node is not done. */
    private static Flux<NodeOutput> nested(
            GraphRunnerContext run, GraphRunnerContext inner, Supplier<NodeOutput> completion) {
        return inner.outputs().concatWith(Mono.fromSupplier(() -> run.leave(inner) ? completion.get() : null));
    }

    private Flux<NodeOutput> whenThere(GraphRunnerContext run, RunScope scope, Mono<? extends Map<String, ?>> values) {
        return values.<Map<String, ?>>map(update -> update)
                .defaultIfEmpty(Map.of())
                .map(update -> completed(run, scope, update))
                .flux();
    }

    private <T> Flux<NodeOutput> streamed(GraphRunnerContext run, RunScope scope, NodeResult.Chunks<T> result) {
        ChunkJoiner<? super T> joiner = result.joiner().get();
        return ChatUsage.captureAny(result.chunks(), run.recorder())
                .<NodeOutput>map(chunk -> streaming(run, RunUsage.EMPTY, chunk, joiner.add(chunk)))
                .concatWith(Mono.fromSupplier(() -> {
                    merge(run, scope, joiner.update());
                    return streaming(run, scope.usage(), null, "");
                }));
    }

    private StreamingOutput streaming(GraphRunnerContext run, RunUsage nodeUsage, @Nullable Object chunk, String text) {
        return new StreamingOutput(node, run, nodeUsage, chunk, text);
    }

    private NodeOutput completed(GraphRunnerContext run, RunScope scope, Map<String, ?> update) {
        merge(run, scope, update);
        return new NodeOutput(node, run, scope.usage());
    }

    /** Emits the delta: what was captured, or where nothing was, what the node says itself. */
    private static void merge(GraphRunnerContext run, RunScope scope, Map<String, ?> update) {
        RunUsage captured = scope.usage();
        if (captured.sum().requests() == 0) {
            run.merge(scope, update);
        } else {
            Map<String, Object> withDelta = new HashMap<>(update);
            withDelta.put(GraphRunnerContext.TOKEN_USAGE, captured);
            run.merge(scope, withDelta);
        }
    }
}
