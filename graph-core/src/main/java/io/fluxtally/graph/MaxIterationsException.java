package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;

/** A run came to a node once more than it may. */
public final class MaxIterationsException extends GraphRunException {

    private static final long serialVersionUID = 1L;

    private final long limit;

    MaxIterationsException(String graph, String node, long limit, RunUsage usage) {
        super(
                "graph \"%s\": maxIterations is %d, and node \"%s\" would be one more".formatted(graph, limit, node),
                graph,
                node,
                usage,
                null);
        this.limit = limit;
    }

    /** How many node executions the run may have. */
    public long limit() {
        return limit;
    }
}
