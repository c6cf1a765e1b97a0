package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import org.jspecify.annotations.Nullable;

/** A run could not go on. It says where, and what had been used until then. */
public class GraphRunException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String graph;
    private final String node;
    private transient RunUsage usage;

    GraphRunException(String message, String graph, String node, RunUsage usage, @Nullable Throwable cause) {
        super(message, cause);
        this.graph = graph;
        this.node = node;
        this.usage = usage;
    }

    /** The graph's name. */
    public String graph() {
        return graph;
    }

    /** The node at which it happened. */
    public String node() {
        return node;
    }

    /** Takes what the run had used once the branches beside the failed one were cancelled too. */
    void settle(RunUsage settled) {
        usage = settled;
    }

    /** What the run had used until then; after Java serialization nothing. */
    public RunUsage usage() {
        return usage == null ? RunUsage.EMPTY : usage;
    }
}
