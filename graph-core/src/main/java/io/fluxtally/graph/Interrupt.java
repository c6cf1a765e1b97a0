package io.fluxtally.graph;

import java.util.List;

/**
 * Where a run was interrupted.
 *
 * @param path the nodes whose sub-graphs the node is in, the outermost first; empty in the graph that was run
 * @param node the node
 * @param when whether the node is still to run, or has run
 * @param state the state that the node sees, or has written to: that of its branch or sub-graph
 */
public record Interrupt(List<String> path, String node, When when, GraphState state) {

    /** On which side of a node a run is interrupted. */
    public enum When {
        /** The node is the next to run. */
        BEFORE,
        /** The node has run, and what it wrote is in the state. */
        AFTER
    }
}
