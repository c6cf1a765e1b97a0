package io.fluxtally.graph;

/**
 * What a node does. Called once for each time the run comes to the node, and for each retry again; must not keep
 * anything of a run in itself, since many runs use it at once.
 *
 * <p>Model requests that it makes are booked to the node: on the calling thread, in the model's streams in whatever publisher
 * it returns, and in blocking work. A blocking call inside a publisher of its own finds the run only with Reactor's automatic
 * context propagation: {@link NodeResult#blocking} is for such calls.
 */
@FunctionalInterface
public interface NodeAction {

    /**
     * Does the node's work, or describes it.
     *
     * @param state the state so far
     * @param context the run
     */
    NodeResult apply(GraphState state, GraphRunnerContext context);
}
