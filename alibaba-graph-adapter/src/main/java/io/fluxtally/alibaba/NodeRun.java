package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.OverAllState;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.RunScope;

/**
 * One execution of a node in a run.
 *
 * @param run the run
 * @param scope where its requests are booked; counts from zero
 * @param state the state that it was given, by which its outputs are told from those of other graphs
 */
record NodeRun(GraphRun run, RunScope scope, OverAllState state) {

    /** What the node used so far. */
    RunUsage usage() {
        return scope.usage();
    }

    /** The same execution as the outputs of a parallel node show it: with the state of the graph, not of the branch. */
    NodeRun in(OverAllState graphState) {
        return new NodeRun(run, scope, graphState);
    }
}
