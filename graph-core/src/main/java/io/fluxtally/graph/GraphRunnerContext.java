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
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;

/**
 * One run of a graph, or one branch of it while branches run at once: its state, where it stands, and what it has used.
 *
 * <p>Figures may be read by any thread at any time. The rest belongs to the run or branch, which takes one step at a time.
 */
public final class GraphRunnerContext {

    /**
     * The key of an update under which a node says what it used: a {@link RunUsage}, or any Spring AI {@code Usage}. It
     * is a delta; the run adds it up and takes it out, so that it never reaches the state. Nodes whose model requests are
     * captured, such as LLM nodes, get it from the run itself, and what they say of their own is not counted again. A usage
     * without any figure is a request whose figure is missing.
     */
    public static final String TOKEN_USAGE = "_TOKEN_USAGE_";

    /** What the branches of a run have in common. */
    private record Whole(RunScope scope, boolean streaming, Map<String, Integer> visits, AtomicLong iterations) {

        Whole(RunScope scope, boolean streaming) {
            this(scope, streaming, new ConcurrentHashMap<>(), new AtomicLong());
        }
    }

    private final CompiledGraph graph;
    private final Whole run;
    private final RunScope scope;

    /** Where this branch ends, or null for a run, which ends at the end. */
    private final @Nullable String stop;

    /** What this branch has written, or null for a run. */
    private final @Nullable UpdateLog log;

    private volatile GraphState state;
    private String node = StateGraph.START;

    /** The node to go to instead of along an edge, or null. */
    private @Nullable String next;

    /** A run of the graph. */
    GraphRunnerContext(CompiledGraph graph, RunScope scope, boolean streaming, GraphState state) {
        this.graph = graph;
        this.run = new Whole(scope, streaming);
        this.scope = scope;
        this.stop = null;
        this.log = null;
        this.state = state;
    }

    private GraphRunnerContext(GraphRunnerContext from, String first, String join) {
        this.graph = from.graph;
        this.run = from.run;
        this.scope = from.scope.branch();
        this.stop = join;
        this.log = new UpdateLog(graph.keyStrategies());
        this.state = from.state;
        this.node = from.node;
        this.next = first;
    }

    /** A branch that starts where this one stands, with the given node, and ends before the join. */
    GraphRunnerContext branch(String first, String join) {
        return new GraphRunnerContext(this, first, join);
    }

    /** The graph's name. */
    public String graph() {
        return graph.name();
    }

    /** The run's id. */
    public String runId() {
        return run.scope.runId();
    }

    /** Whether the run is streamed: then a node should stream too, if it can. */
    public boolean isStreaming() {
        return run.streaming;
    }

    /** The state so far; in a branch, that at its start with what the branch itself has written since. */
    public GraphState state() {
        return state;
    }

    /** The tokens of the whole run so far, over all its nodes, rounds and branches. */
    public TokenUsage getTokenUsage() {
        return usage().total();
    }

    /** What the whole run has used so far. */
    public RunUsage usage() {
        return run.scope.usage();
    }

    /**
     * What this branch of the run has used so far, counted from zero where it started; outside of branches, what the
     * whole run has.
     */
    public RunUsage branchUsage() {
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

    String node() {
        return node;
    }

    boolean isAtEnd() {
        return node.equals(StateGraph.END);
    }

    boolean endsAt(String target) {
        return target.equals(stop);
    }

    /** The nodes that are next, or {@link StateGraph#END}. */
    List<String> advance() {
        String given = next;
        next = null;
        return given == null ? graph.next(node, state, this) : List.of(given);
    }

    void moveTo(String target) {
        if (!target.equals(StateGraph.END) && run.iterations.getAndIncrement() >= graph.maxIterations()) {
            throw new MaxIterationsException(graph(), target, graph.maxIterations(), usage());
        }
        node = target;
    }

    /** Merges what branches have written, in their order, and goes on at their join. */
    void join(List<GraphRunnerContext> branches, String join) {
        Map<String, GraphRunnerContext> writers = new HashMap<>();
        for (GraphRunnerContext branch : branches) {
            UpdateLog written = branch.written();
            for (String key : written.keys()) {
                GraphRunnerContext other = written.replaces(key) ? writers.putIfAbsent(key, branch) : null;
                if (other != null) {
                    throw new GraphRunException(
                            "graph \"%s\": two branches of node \"%s\", which meet at \"%s\", both write the key \"%s\", and it can be replaced but once: give it a KeyStrategy that merges"
                                    .formatted(graph(), node, join, key),
                            graph(),
                            node,
                            usage(),
                            null);
                }
            }
        }
        branches.forEach(branch -> merge(branch.written()));
        next = join;
    }

    private UpdateLog written() {
        return Objects.requireNonNull(log, "a run is no branch");
    }

    private void merge(UpdateLog written) {
        state = state.with(written, graph.keyStrategies());
        if (log != null) {
            log.addAll(written);
        }
    }

    /** The scope of one execution of a node: a branch of the run's, labelled with the node and how often it came there. */
    RunScope enter(String nodeId) {
        int visit = run.visits.merge(nodeId, 1, Integer::sum);
        return scope.branch().withNode(nodeId).withRound(visit);
    }

    /** Merges what a node says into the state, and what it used into the total. */
    void merge(RunScope nodeScope, Map<String, ?> update) {
        Map<String, Object> values = new HashMap<>(update);
        accumulate(nodeScope, values.remove(TOKEN_USAGE));
        state = state.with(values, graph.keyStrategies());
        if (log != null) {
            log.add(values);
        }
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
