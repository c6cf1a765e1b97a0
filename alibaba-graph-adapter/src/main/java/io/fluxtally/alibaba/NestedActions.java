package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.internal.node.ConditionalParallelNode.ConditionalParallelNodeAction;
import com.alibaba.cloud.ai.graph.internal.node.Node;
import com.alibaba.cloud.ai.graph.internal.node.ParallelNode.AsyncParallelNodeAction;
import com.alibaba.cloud.ai.graph.internal.node.SubCompiledGraphNodeAction;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Actions that hold others: those of parallel nodes, whose branches run on threads of their own, and of sub-graphs. */
final class NestedActions {

    private NestedActions() {}

    /** The action as it is to run in the given node: what it holds is in the run too. */
    static AsyncNodeActionWithConfig inside(NodeRun node, AsyncNodeActionWithConfig action) {
        if (action instanceof AsyncParallelNodeAction parallel) {
            return parallel(node, parallel);
        }
        if (action instanceof ConditionalParallelNodeAction conditional) {
            return conditional(node, conditional);
        }
        if (action instanceof SubCompiledGraphNodeAction sub) {
            return new SubCompiledGraphNodeAction(
                    sub.nodeId(), sub.parentCompileConfig(), node.run().graph().inside(sub.subGraph()));
        }
        return action;
    }

    private static AsyncParallelNodeAction parallel(NodeRun node, AsyncParallelNodeAction parallel) {
        List<AsyncNodeActionWithConfig> branches = new ArrayList<>();
        for (int i = 0; i < parallel.actions().size(); i++) {
            branches.add(ScopedAction.branch(
                    node, parallel.actionNodeIds().get(i), parallel.actions().get(i)));
        }
        return new AsyncParallelNodeAction(
                parallel.nodeId(),
                parallel.targetNodeId(),
                branches,
                parallel.actionNodeIds(),
                parallel.channels(),
                parallel.compileConfig());
    }

    private static ConditionalParallelNodeAction conditional(NodeRun node, ConditionalParallelNodeAction conditional) {
        Map<String, Node.ActionFactory> branches = new HashMap<>();
        conditional
                .nodeFactories()
                .forEach((id, factory) ->
                        branches.put(id, config -> ScopedAction.branch(node, id, factory.apply(config))));
        return new ConditionalParallelNodeAction(
                conditional.nodeId(),
                conditional.sourceNodeId(),
                conditional.edgeCondition(),
                branches,
                conditional.keyStrategyMap(),
                conditional.compileConfig());
    }
}
