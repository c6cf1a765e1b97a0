package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import org.jspecify.annotations.Nullable;

/**
 * An output of a node that streams: one for each chunk, and one more when the node has completed, which carries the
 * node's own usage.
 */
public final class StreamingOutput extends NodeOutput {

    private final @Nullable Object chunk;
    private final String text;

    StreamingOutput(
            String node, GraphRunnerContext run, RunUsage nodeUsage, int attempt, @Nullable Object chunk, String text) {
        super(node, run, nodeUsage, attempt);
        this.chunk = chunk;
        this.text = text;
    }

    /** The chunk as the node's publisher gave it, such as a {@code ChatResponse}; null when the node has completed. */
    public @Nullable Object chunk() {
        return chunk;
    }

    /** The text that this chunk adds; empty if it adds none, or the node has completed. */
    public String text() {
        return text;
    }

    /** Whether this is the node's completion, after its last chunk. */
    public boolean isComplete() {
        return chunk == null;
    }
}
