package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;

/** A node failed; the cause is its own error. */
public final class NodeFailedException extends GraphRunException {

    private static final long serialVersionUID = 1L;

    NodeFailedException(String graph, String node, RunUsage usage, Throwable cause) {
        super("graph \"%s\": node \"%s\" failed: %s".formatted(graph, node, cause), graph, node, usage, cause);
    }
}
