package io.fluxtally.graph;

import io.fluxtally.usage.scope.RunScope;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * The attempts of one execution of a node: at its action, as often as its retry says, then at each fallback.
 *
 * <p>They are numbered on from the attempt that the execution is itself a part of, and each after all that were made inside
 * those before it: so of two attempts that a consumer sees at one node, the one that failed has the lower number, also where
 * a sub-graph around it was tried again.
 */
final class NodeAttempts {

    private final String node;
    private final List<NodeAction> actions;
    private final NodeConfig config;
    private final GraphRunnerContext run;
    private final RunScope scope;
    private final BiFunction<NodeAttempt, NodeAction, Flux<NodeOutput>> work;

    /** The highest number so far, of an attempt here or inside one. */
    private final AtomicInteger last;

    /** With what each action failed for good that had another behind it. */
    private final List<Throwable> failures = new ArrayList<>(0);

    private boolean attempted;

    /** The execution that this one is a part of, if that may be tried again. */
    private @Nullable NodeAttempts around;

    /**
     * The attempts of an execution.
     *
     * @param actions the node's action, and behind it what runs instead
     * @param scope the scope of the execution
     * @param work makes one attempt at an action
     */
    NodeAttempts(
            String node,
            List<NodeAction> actions,
            NodeConfig config,
            GraphRunnerContext run,
            RunScope scope,
            BiFunction<NodeAttempt, NodeAction, Flux<NodeOutput>> work) {
        this.node = node;
        this.actions = actions;
        this.config = config;
        this.run = run;
        this.scope = scope;
        this.work = work;
        this.last = new AtomicInteger(scope.attempt() - 1);
    }

    /** The outputs of all attempts, until one has not failed. */
    Flux<NodeOutput> outputs() {
        // That whose sub-graph was saved; those before it have failed.
        int first = Math.min(run.savedAction(), actions.size() - 1);
        Flux<NodeOutput> outputs = attempts(actions.get(first), first);
        for (int i = first + 1; i < actions.size(); i++) {
            int index = i;
            outputs = outputs.onErrorResume(error -> !NodeRetry.isUnsaved(error), error -> {
                failures.add(error);
                return NodeExecutor.onDemand(run, it -> attempts(actions.get(index), index));
            });
        }
        return outputs.onErrorMap(this::failed);
    }

    private Flux<NodeOutput> attempts(NodeAction action, int index) {
        run.takes(index);
        return config.retry() == null
                ? attempt(action)
                : NodeExecutor.onDemand(run, it -> attempt(action)).retryWhen(new NodeRetry(config.retry()));
    }

    private Flux<NodeOutput> attempt(NodeAction action) {
        return Flux.deferContextual(context -> {
            NodeAttempt attempt = newAttempt(context);
            Flux<NodeOutput> outputs =
                    Flux.defer(() -> work.apply(attempt, action)).contextWrite(outer -> contextOf(attempt, outer));
            if (config.scheduler() != null) {
                outputs = outputs.subscribeOn(config.scheduler());
            }
            return config.timeout() == null ? outputs : within(config.timeout(), attempt, outputs);
        });
    }

    /** Around the scheduler, so that a thread that blocks there is interrupted. */
    private Flux<NodeOutput> within(Duration timeout, NodeAttempt attempt, Flux<NodeOutput> outputs) {
        String message =
                "graph \"%s\": node \"%s\" took longer than its timeout of %s".formatted(run.graph(), node, timeout);
        return attempt.within(timeout, outputs, message);
    }

    private NodeAttempt newAttempt(ContextView context) {
        boolean further = attempted;
        attempted = true;
        return new NodeAttempt(scope, next(context), further);
    }

    private Context contextOf(NodeAttempt attempt, Context outer) {
        Context context = attempt.scope().writeTo(outer);
        return isSingle() ? context : context.put(NodeAttempts.class, this);
    }

    private int next(ContextView context) {
        if (isSingle()) {
            return scope.attempt();
        }
        around = context.getOrDefault(NodeAttempts.class, null);
        int number = last.incrementAndGet();
        for (NodeAttempts outer = around; outer != null; outer = outer.around) {
            outer.last.accumulateAndGet(number, Math::max);
        }
        return number;
    }

    private boolean isSingle() {
        return config.retry() == null && config.fallbacks().isEmpty();
    }

    /** The error of the run, which has what each action failed with. */
    private NodeFailedException failed(Throwable error) {
        // That of a run inside this node too: its usage is not all that this run has used.
        NodeFailedException failed = new NodeFailedException(run.graph(), node, run.usage(), error);
        failures.stream().filter(failure -> failure != error).forEach(failed::addSuppressed);
        return failed;
    }
}
