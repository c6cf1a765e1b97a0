package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;

/** A run came to a node once more than it may: it has had all its node executions, or an agent all its rounds. */
public final class MaxIterationsException extends GraphRunException {

    private static final long serialVersionUID = 1L;

    private final long limit;

    MaxIterationsException(String graph, String node, long limit, RunUsage usage) {
        this(graph, node, "maxIterations is %d, and node \"%s\" would be one more", limit, usage);
    }

    private MaxIterationsException(String graph, String node, String problem, long limit, RunUsage usage) {
        super("graph \"%s\": ".formatted(graph) + problem.formatted(limit, node), graph, node, usage, null);
        this.limit = limit;
    }

    /** An agent's run that would come to one round more than it may have. */
    static MaxIterationsException ofRounds(String graph, String node, long limit, RunUsage usage) {
        return new MaxIterationsException(
                graph, node, "maxRounds is %d, and node \"%s\" would lead to one more", limit, usage);
    }

    /** How many node executions the run may have; where the limit was set in rounds, how many of those. */
    public long limit() {
        return limit;
    }
}
