package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.OverAllState;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.action.InterruptableAction;
import com.alibaba.cloud.ai.graph.action.InterruptionMetadata;
import com.alibaba.cloud.ai.graph.internal.node.ResumableSubGraphAction;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A node's action that runs in the scope of its node and is otherwise the action that it stands for.
 *
 * <p>The graph asks an action what it is: one that interrupts, or that resumes a sub-graph, stays one.
 */
class ScopedAction implements AsyncNodeActionWithConfig {

    private final FluxtallyGraph graph;
    private final String node;
    private final AsyncNodeActionWithConfig action;

    /** The parallel node that this is a branch of, on another thread; null for any other node, whose thread tells its run. */
    private final @Nullable NodeRun branchOf;

    private ScopedAction(
            FluxtallyGraph graph, String node, AsyncNodeActionWithConfig action, @Nullable NodeRun branchOf) {
        this.graph = graph;
        this.node = node;
        this.action = action;
        this.branchOf = branchOf;
    }

    /** The action of a node of a graph. */
    static AsyncNodeActionWithConfig of(FluxtallyGraph graph, String node, AsyncNodeActionWithConfig action) {
        boolean resumes = action instanceof ResumableSubGraphAction;
        if (action instanceof InterruptableAction) {
            return resumes ? new InterruptingAndResuming(graph, node, action) : new Interrupting(graph, node, action);
        }
        return resumes ? new Resuming(graph, node, action) : new ScopedAction(graph, node, action, null);
    }

    /** The action of a branch of a parallel node. */
    static AsyncNodeActionWithConfig branch(NodeRun parallel, String node, AsyncNodeActionWithConfig action) {
        return new ScopedAction(parallel.run().graph(), node, action, parallel);
    }

    AsyncNodeActionWithConfig action() {
        return action;
    }

    @Override
    public @Nullable CompletableFuture<Map<String, Object>> apply(OverAllState state, RunnableConfig config) {
        GraphRun run = branchOf != null ? branchOf.run() : RunThread.of(graph);
        if (run == null) {
            return action.apply(state, config);
        }
        boolean callsTools = GraphRun.isAgentNode(node, RunnableConfig.AGENT_TOOL_NAME);
        NodeRun started;
        AsyncNodeActionWithConfig work;
        try {
            started = run.start(node, state, branchOf);
            work = NestedActions.inside(started, action);
            if (callsTools) {
                ToolScopes.offer(config, state, started);
            }
        } catch (Throwable failure) {
            MeasuringFailures.report("the start of a node", failure);
            return action.apply(state, config);
        }
        NodeResults results = new NodeResults(started, action.getClass().getSimpleName());
        RunThread.Frame frame = RunThread.bind(started);
        CompletableFuture<Map<String, Object>> result;
        try {
            result = work.apply(state, config);
        } finally {
            RunThread.unbind(frame);
            if (callsTools) {
                ToolScopes.withdraw(config, state, started);
            }
        }
        return results.of(result);
    }

    private static final class Interrupting extends ScopedAction implements InterruptableAction {

        Interrupting(FluxtallyGraph graph, String node, AsyncNodeActionWithConfig action) {
            super(graph, node, action, null);
        }

        @Override
        public Optional<InterruptionMetadata> interrupt(String nodeId, OverAllState state, RunnableConfig config) {
            return ((InterruptableAction) action()).interrupt(nodeId, state, config);
        }

        @Override
        public Optional<InterruptionMetadata> interruptAfter(
                String nodeId, OverAllState state, Map<String, Object> actionResult, RunnableConfig config) {
            return ((InterruptableAction) action()).interruptAfter(nodeId, state, actionResult, config);
        }
    }

    private static final class Resuming extends ScopedAction implements ResumableSubGraphAction {

        Resuming(FluxtallyGraph graph, String node, AsyncNodeActionWithConfig action) {
            super(graph, node, action, null);
        }

        @Override
        public String getResumeSubGraphId() {
            return ((ResumableSubGraphAction) action()).getResumeSubGraphId();
        }
    }

    private static final class InterruptingAndResuming extends ScopedAction
            implements InterruptableAction, ResumableSubGraphAction {

        InterruptingAndResuming(FluxtallyGraph graph, String node, AsyncNodeActionWithConfig action) {
            super(graph, node, action, null);
        }

        @Override
        public Optional<InterruptionMetadata> interrupt(String nodeId, OverAllState state, RunnableConfig config) {
            return ((InterruptableAction) action()).interrupt(nodeId, state, config);
        }

        @Override
        public Optional<InterruptionMetadata> interruptAfter(
                String nodeId, OverAllState state, Map<String, Object> actionResult, RunnableConfig config) {
            return ((InterruptableAction) action()).interruptAfter(nodeId, state, actionResult, config);
        }

        @Override
        public String getResumeSubGraphId() {
            return ((ResumableSubGraphAction) action()).getResumeSubGraphId();
        }
    }
}
