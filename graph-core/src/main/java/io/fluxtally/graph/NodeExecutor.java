package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.BlockingWork;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
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
    private final NodeConfig config;
    private final List<NodeAction> actions;

    NodeExecutor(String node, StateGraph.Node definition) {
        this.node = node;
        this.config = definition.config();
        this.actions = definition.actions();
    }

    /** The outputs of one execution, which begins when the first of them is requested. */
    Flux<NodeOutput> execute(GraphRunnerContext run) {
        return onDemand(
                run,
                it -> new NodeAttempts(
                                node,
                                actions,
                                config,
                                it,
                                it.enter(node),
                                (attempt, action) -> attempt(it, attempt, action))
                        .outputs());
    }

    /**
     * What the run comes to, from when an output is requested. Unlike defer() this waits for that: a step is taken as soon
     * as the last one is through, but what it does is not to begin before somebody asks for its output.
     */
    static Flux<NodeOutput> onDemand(GraphRunnerContext run, Function<GraphRunnerContext, Flux<NodeOutput>> work) {
        // Hidden, since concatMap() subscribes to a scalar at once.
        return Flux.just(run).hide().concatMap(it -> it.isStopped() ? Flux.never() : work.apply(it), 0);
    }

    private Flux<NodeOutput> attempt(GraphRunnerContext run, NodeAttempt attempt, NodeAction action) {
        return attempt.isExpired() ? Flux.empty() : outputs(run, attempt, apply(run, attempt.scope(), action));
    }

    private static NodeResult apply(GraphRunnerContext run, RunScope scope, NodeAction action) {
        // In flight, since it may ask a model itself, also when its time is up and nobody waits for it any more.
        scope.tally().begun();
        UsageScope.Binding binding = scope.bind();
        try (binding) {
            return Objects.requireNonNull(action.apply(run.state(), run), "a node's result must not be null");
        } finally {
            scope.tally().ended();
        }
    }

    private Flux<NodeOutput> outputs(GraphRunnerContext run, NodeAttempt attempt, NodeResult result) {
        RunScope scope = attempt.scope();
        if (result instanceof NodeResult.Update update) {
            NodeOutput completed = completed(run, attempt, update.values());
            return completed == null ? Flux.empty() : Flux.just(completed);
        }
        if (attempt.isExpired()) {
            // Its action has taken too long: nobody waits for what would only begin now.
            return Flux.empty();
        }
        if (result instanceof NodeResult.Deferred deferred) {
            return whenThere(run, attempt, deferred.values());
        }
        if (result instanceof NodeResult.Blocking blocking) {
            // One of the node's own it is on already.
            Scheduler worker = config.scheduler() == null ? Schedulers.boundedElastic() : Schedulers.immediate();
            return whenThere(run, attempt, BlockingWork.on(worker, scope, inTime(run, attempt, blocking.work())));
        }
        if (result instanceof NodeResult.SubGraph sub) {
            GraphRunnerContext inner = run.inside(sub.graph(), scope, sub.input());
            return nested(
                    run,
                    attempt,
                    inner,
                    () -> completed(run, attempt, sub.update().apply(inner.state())));
        }
        if (result instanceof SharedSubGraph shared) {
            GraphRunnerContext inner = run.inside(shared.graph(), scope);
            return nested(run, attempt, inner, () -> {
                if (!attempt.complete()) {
                    return null;
                }
                run.merge(inner);
                return new NodeOutput(node, run, attempt.nodeUsage(), scope.attempt());
            });
        }
        return streamed(run, attempt, (NodeResult.Chunks<?>) result);
    }

    /** The outputs of a sub-graph, and that of the node, unless the sub-graph waits: then the node is not done. */
    private static Flux<NodeOutput> nested(
            GraphRunnerContext run,
            NodeAttempt attempt,
            GraphRunnerContext inner,
            Supplier<? extends @Nullable NodeOutput> completion) {
        return inner.outputs().concatWith(Mono.fromSupplier(() -> {
            if (!inner.isInterrupted()) {
                return completion.get();
            }
            if (attempt.complete()) {
                run.waitInside();
            }
            return null;
        }));
    }

    /** Work whose usage is counted also if it is done too late, when nobody hears what it says. */
    private static Callable<Map<String, ?>> inTime(
            GraphRunnerContext run, NodeAttempt attempt, Callable<? extends Map<String, ?>> work) {
        return () -> {
            Map<String, ?> update = work.call();
            if (attempt.isExpired() && !attempt.hasRequests()) {
                run.accumulate(attempt.scope(), update.get(GraphRunnerContext.TOKEN_USAGE));
            }
            return update;
        };
    }

    private Flux<NodeOutput> whenThere(
            GraphRunnerContext run, NodeAttempt attempt, Mono<? extends Map<String, ?>> values) {
        return values.<Map<String, ?>>map(update -> update)
                .defaultIfEmpty(Map.of())
                .mapNotNull(update -> completed(run, attempt, update))
                .flux();
    }

    private <T> Flux<NodeOutput> streamed(GraphRunnerContext run, NodeAttempt attempt, NodeResult.Chunks<T> result) {
        ChunkJoiner<? super T> joiner = result.joiner().get();
        RunScope scope = attempt.scope();
        return ChatUsage.captureAny(result.chunks(), run.recorder())
                .<NodeOutput>map(chunk -> streaming(run, scope, RunUsage.EMPTY, chunk, joiner.add(chunk)))
                .concatWith(Mono.fromSupplier(() -> merges(run, attempt, joiner.update())
                        ? streaming(run, scope, attempt.nodeUsage(), null, "")
                        : null));
    }

    private StreamingOutput streaming(
            GraphRunnerContext run, RunScope scope, RunUsage nodeUsage, @Nullable Object chunk, String text) {
        return new StreamingOutput(node, run, nodeUsage, scope.attempt(), chunk, text);
    }

    private @Nullable NodeOutput completed(GraphRunnerContext run, NodeAttempt attempt, Map<String, ?> update) {
        RunScope scope = attempt.scope();
        return merges(run, attempt, update) ? new NodeOutput(node, run, attempt.nodeUsage(), scope.attempt()) : null;
    }

    /**
     * Emits the delta: what was captured, or where nothing was, what the node says itself. An attempt that has expired by now
     * has used it all the same, but writes nothing.
     */
    private static boolean merges(GraphRunnerContext run, NodeAttempt attempt, Map<String, ?> update) {
        RunScope scope = attempt.scope();
        Map<String, Object> withDelta = new HashMap<>(update);
        if (attempt.hasRequests()) {
            withDelta.put(GraphRunnerContext.TOKEN_USAGE, scope.usage());
        }
        if (!attempt.complete()) {
            run.accumulate(scope, withDelta.get(GraphRunnerContext.TOKEN_USAGE));
            return false;
        }
        run.merge(scope, withDelta);
        return true;
    }
}
