package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a run says when a node has finished, and with {@link StreamingOutput} while it streams. The last output of a run is
 * that of {@link StateGraph#END}.
 *
 * <p>The node's own usage and the run's usage have two names, so that nobody adds totals. Immutable.
 */
public sealed class NodeOutput permits StreamingOutput, InterruptedOutput {

    private final String node;
    private final List<String> path;
    private final @Nullable String agent;
    private final GraphState state;
    private final RunUsage nodeUsage;
    private final RunUsage runUsage;
    private final int attempt;

    /** What the run says now. */
    NodeOutput(String node, GraphRunnerContext run, RunUsage nodeUsage) {
        this(node, run, nodeUsage, 1);
    }

    /** What the run says now, in an attempt at a node. */
    NodeOutput(String node, GraphRunnerContext run, RunUsage nodeUsage, int attempt) {
        this.node = node;
        this.path = run.path();
        this.agent = run.agent();
        this.state = run.state();
        this.nodeUsage = nodeUsage;
        this.runUsage = run.usage();
        this.attempt = attempt;
    }

    /** The node, or {@link StateGraph#END}. */
    public String node() {
        return node;
    }

    /** The nodes whose sub-graphs the node is in, the outermost first; empty if it is a node of the graph that was run. */
    public List<String> path() {
        return path;
    }

    /** The agent that the graph is, or that it is a sub-graph of, or null if there is none. */
    public @Nullable String agent() {
        return agent;
    }

    /**
     * Which attempt at the node this is of, from 1; more than 1 where one failed before it, at this node or at one whose
     * sub-graph it is in. What outputs of the same execution with a lower number said, of the node or of what is in its
     * sub-graph, is void: nothing of it is in the state, only its usage stays counted.
     */
    public int attempt() {
        return attempt;
    }

    /**
     * The state after the node; of an output in mid-stream, before it; in a branch or a sub-graph, the state that the
     * nodes there see.
     */
    public GraphState state() {
        return state;
    }

    /** Whether this is the end of the run. */
    public boolean isEnd() {
        return node.equals(StateGraph.END);
    }

    /**
     * The tokens that this execution of the node used in all its attempts, or null if it made no request, has not finished, or none
     * of its requests was reported: a delta, not a total.
     */
    public @Nullable TokenUsage tokenUsage() {
        UsageSum sum = nodeUsage.sum();
        return sum.requests() == 0 || sum.isUnknown() ? null : sum.total();
    }

    /** The requests of this execution of the node, in all its attempts; none before it has finished. */
    public RunUsage nodeUsage() {
        return nodeUsage;
    }

    /** What the whole run has used so far: a total, not a delta. */
    public RunUsage runUsage() {
        return runUsage;
    }

    /** Names and figures only: the state may hold prompts. */
    @Override
    public String toString() {
        return "%s[path=%s, node=%s, agent=%s, attempt=%d, tokenUsage=%s, runUsage=%s]"
                .formatted(getClass().getSimpleName(), path, node, agent, attempt, tokenUsage(), runUsage);
    }
}
