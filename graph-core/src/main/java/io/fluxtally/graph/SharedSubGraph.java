package io.fluxtally.graph;

/** A node that runs a graph on the state of the graph around it, as if its nodes stood there. */
record SharedSubGraph(CompiledGraph graph) implements NodeAction, NodeResult {

    @Override
    public NodeResult apply(GraphState state, GraphRunnerContext context) {
        return this;
    }
}
