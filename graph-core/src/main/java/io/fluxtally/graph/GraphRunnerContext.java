package io.fluxtally.graph;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;

/**
 * One run of a graph: its state, where it stands, and what it has used.
 *
 * <p>Figures may be read by any thread at any time. The rest belongs to the run, which takes one step at a time.
 */
public final class GraphRunnerContext {

    /**
     * The key of an update under which a node says what it used: a {@link RunUsage}, or any Spring AI {@code Usage}. It
     * is a delta; the run adds it up and takes it out, so that it never reaches the state. Nodes whose model requests are
     * captured, such as LLM nodes, get it from the run itself, and what they say of their own is not counted again. A usage
     * without any figure is a request whose figure is missing.
     */
    public static final String TOKEN_USAGE = "_TOKEN_USAGE_";

    private final CompiledGraph graph;
    private final RunScope scope;
    private final boolean streaming;
    private final Map<String, Integer> visits = new HashMap<>();

    private volatile GraphState state;
    private String node = StateGraph.START;
    private long iterations;

    GraphRunnerContext(CompiledGraph graph, RunScope scope, boolean streaming, GraphState state) {
        this.graph = graph;
        this.scope = scope;
        this.streaming = streaming;
        this.state = state;
    }

    /** The graph's name. */
    public String graph() {
        return graph.name();
    }

    /** The run's id. */
    public String runId() {
        return scope.runId();
    }

    /** Whether the run is streamed: then a node should stream too, if it can. */
    public boolean isStreaming() {
        return streaming;
    }

    /** The state so far. */
    public GraphState state() {
        return state;
    }

    /** The tokens of the whole run so far, over all its nodes and rounds. */
    public TokenUsage getTokenUsage() {
        return usage().total();
    }

    /** What the whole run has used so far. */
    public RunUsage usage() {
        return scope.usage();
    }

    /** The given model, whose calls are booked where the graph books. */
    public ChatModel capture(ChatModel model) {
        return UsageChatModel.of(model, recorder());
    }

    RunScope scope() {
        return scope;
    }

    @Nullable
    String agent() {
        return scope.agent();
    }

    UsageRecorder recorder() {
        return graph.recorder();
    }

    boolean isAtEnd() {
        return node.equals(StateGraph.END);
    }

    /**
     * Moves on along the edge of the current node.
     *
     * @return the node that is next, or {@link StateGraph#END}
     */
    String advance() {
        String next = graph.next(node, state, this);
        if (!next.equals(StateGraph.END) && iterations++ >= graph.maxIterations()) {
            throw new MaxIterationsException(graph(), next, graph.maxIterations(), usage());
        }
        node = next;
        return next;
    }

    /** The scope of one execution of a node: a branch of the run's, labelled with the node and how often it came there. */
    RunScope enter(String nodeId) {
        int visit = visits.merge(nodeId, 1, Integer::sum);
        return scope.branch().withNode(nodeId).withRound(visit);
    }

    /** Merges what a node says into the state, and what it used into the total. */
    void merge(RunScope nodeScope, Map<String, ?> update) {
        Map<String, Object> values = new HashMap<>(update);
        accumulate(nodeScope, values.remove(TOKEN_USAGE));
        state = state.with(values, graph.keyStrategies());
    }

    /**
     * Adds a delta to the total. Requests that were captured are in the run's tally since they were booked, and adding
     * them again changes nothing.
     */
    private void accumulate(RunScope nodeScope, @Nullable Object delta) {
        if (delta instanceof RunUsage requests) {
            nodeScope.tally().addAll(requests);
        } else if (delta instanceof Usage usage) {
            TokenUsage tokens = ChatUsage.tokensOf(usage);
            RequestUsage request = ModelCall.newRequest(nodeScope, Instant.now())
                    .usage(tokens, tokens == null ? UsageSource.MISSING : UsageSource.REPORTED)
                    .build();
            recorder().book(nodeScope, request);
        } else if (delta != null) {
            throw new IllegalArgumentException("%s must be a RunUsage or a Usage, but is a %s"
                    .formatted(TOKEN_USAGE, delta.getClass().getName()));
        }
    }
}
