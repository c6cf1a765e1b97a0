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
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;
import reactor.core.publisher.Flux;

/**
 * One run of a graph, or a part of it, which is a branch while branches run at once, or a sub-graph: its state, where it
 * stands, and what it has used.
 *
 * <p>Figures may be read by any thread at any time. The rest belongs to the run or part, which takes one step at a time.
 */
public final class GraphRunnerContext {

    /**
     * The key of an update under which a node says what it used: a {@link RunUsage}, or any Spring AI {@code Usage}. It
     * is a delta; the run adds it up and takes it out, so that it never reaches the state. Nodes whose model requests are
     * captured, such as LLM nodes, get it from the run itself, and what they say of their own is not counted again. A usage
     * without any figure is a request whose figure is missing.
     */
    public static final String TOKEN_USAGE = "_TOKEN_USAGE_";

    /** What the branches of a run, or of one of its sub-graphs, have in common. */
    private record Whole(
            CompiledGraph graph,
            RunScope scope,
            boolean streaming,
            List<String> path,
            Map<String, KeyStrategy> strategies,
            Map<String, Integer> visits,
            AtomicLong iterations) {

        Whole(
                CompiledGraph graph,
                RunScope scope,
                boolean streaming,
                List<String> path,
                Map<String, KeyStrategy> strategies) {
            this(graph, scope, streaming, path, strategies, new ConcurrentHashMap<>(), new AtomicLong());
        }
    }

    private final Whole run;
    private final RunScope scope;

    /** The node before which this part ends, or null for a run, which has an output of its end. */
    private final @Nullable String stop;

    /** What this part has written, or null where nobody is to know. */
    private final @Nullable UpdateLog log;

    private volatile GraphState state;
    private String node = StateGraph.START;

    /** The node to go to instead of along an edge, or null. */
    private @Nullable String next;

    /** A run of the graph. */
    GraphRunnerContext(CompiledGraph graph, RunScope scope, boolean streaming, GraphState state) {
        this(new Whole(graph, scope, streaming, List.of(), graph.keyStrategies()), scope, null, null, state);
    }

    private GraphRunnerContext(
            Whole run, RunScope scope, @Nullable String stop, @Nullable UpdateLog log, GraphState state) {
        this.run = run;
        this.scope = scope;
        this.stop = stop;
        this.log = log;
        this.state = state;
    }

    /** A branch that starts where this stands, with the given node, and ends before the join. */
    GraphRunnerContext branch(String first, String join) {
        UpdateLog written = new UpdateLog(run.strategies);
        GraphRunnerContext branch = new GraphRunnerContext(run, scope.branch(), join, written, state);
        branch.node = node;
        branch.next = first;
        return branch;
    }

    /** The run of a sub-graph with a state of its own. */
    GraphRunnerContext inside(CompiledGraph graph, String nodeId, RunScope nodeScope, Map<String, ?> input) {
        Whole part = new Whole(graph, run.scope, run.streaming, pathOf(nodeId), graph.keyStrategies());
        return new GraphRunnerContext(part, graph.configure(nodeScope), StateGraph.END, null, graph.begin(input));
    }

    /** The run of a sub-graph on this state. */
    GraphRunnerContext inside(CompiledGraph graph, String nodeId, RunScope nodeScope) {
        Whole part = new Whole(graph, run.scope, run.streaming, pathOf(nodeId), run.strategies);
        UpdateLog written = new UpdateLog(run.strategies);
        return new GraphRunnerContext(part, graph.configure(nodeScope), StateGraph.END, written, state);
    }

    private List<String> pathOf(String nodeId) {
        return Stream.concat(run.path.stream(), Stream.of(nodeId)).toList();
    }

    /** The outputs of this part. */
    Flux<NodeOutput> outputs() {
        return run.graph.steps(this);
    }

    List<String> path() {
        return run.path;
    }

    /** The graph's name. */
    public String graph() {
        return run.graph.name();
    }

    /** The run's id. */
    public String runId() {
        return run.scope.runId();
    }

    /** Whether the run is streamed: then a node should stream too, if it can. */
    public boolean isStreaming() {
        return run.streaming;
    }

    /**
     * The state so far; in a branch, that at its start with what the branch itself has written since; in a sub-graph, its
     * own or that which it shares.
     */
    public GraphState state() {
        return state;
    }

    /** The tokens of the whole run so far, over all its nodes, rounds, branches and sub-graphs. */
    public TokenUsage getTokenUsage() {
        return usage().total();
    }

    /** What the whole run has used so far. */
    public RunUsage usage() {
        return run.scope.usage();
    }

    /**
     * What this part of the run, a branch or a sub-graph, has used so far, counted from zero where it started; outside of
     * both, what the whole run has.
     */
    public RunUsage partUsage() {
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
        return run.graph.recorder();
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
        return given == null ? run.graph.next(node, state, this) : List.of(given);
    }

    void moveTo(String target) {
        if (!target.equals(StateGraph.END) && run.iterations.getAndIncrement() >= run.graph.maxIterations()) {
            throw new MaxIterationsException(graph(), target, run.graph.maxIterations(), usage());
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
        branches.forEach(this::merge);
        next = join;
    }

    private UpdateLog written() {
        return Objects.requireNonNull(log, "log");
    }

    /** Merges what a part of this has written. */
    void merge(GraphRunnerContext part) {
        UpdateLog written = part.written();
        state = state.with(written, run.strategies);
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
        state = state.with(values, run.strategies);
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
