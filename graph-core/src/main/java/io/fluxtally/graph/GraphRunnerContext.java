package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.CheckpointException;
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
            @Nullable RunCheckpoints checkpoints,
            Map<String, Integer> visits,
            AtomicLong iterations) {

        Whole(
                CompiledGraph graph,
                RunScope scope,
                boolean streaming,
                List<String> path,
                Map<String, KeyStrategy> strategies,
                @Nullable RunCheckpoints checkpoints) {
            this(graph, scope, streaming, path, strategies, checkpoints, new ConcurrentHashMap<>(), new AtomicLong());
        }

        void restore(Position.Counts counts) {
            visits.putAll(counts.visits());
            iterations.set(counts.iterations());
        }

        Position.Counts counts() {
            return new Position.Counts(Map.copyOf(visits), iterations.get());
        }
    }

    /** The part of a run that is a sub-graph, while a node runs it. */
    private record Inner(String node, int action, int round, GraphRunnerContext part) {}

    private final Whole run;

    /** What this is a part of, or null for a run. */
    private final @Nullable GraphRunnerContext around;

    private final RunScope scope;

    /** The node before which this part ends, or null for a run, which has an output of its end. */
    private final @Nullable String stop;

    /** What this part has written, or null where nobody is to know. */
    private final @Nullable UpdateLog log;

    private volatile GraphState state;
    private String node = StateGraph.START;

    /** The node to go to instead of along an edge, or null. */
    private @Nullable String next;

    /** Whether this is a branch. */
    private final boolean branch;

    /** Whether no other part runs beside this one, so that the run can be saved whenever this stands still. */
    private final boolean alone;

    /** Whether the run was, or need not be, interrupted after the node. */
    private boolean afterChecked = true;

    /** Whether the run was, or need not be, interrupted before the next node. */
    private boolean beforeChecked;

    /** Where this part itself waits, or null. */
    private Interrupt.@Nullable When interrupt;

    private boolean interrupted;

    /** The branches that have started here and not met yet. */
    private List<GraphRunnerContext> branches = List.of();

    /** Whether one of them has failed, or nobody listens to them any more. */
    private volatile boolean branchesStopped;

    private @Nullable Inner inner;

    /** Which action of the node is at work, its fallbacks counted from 1. */
    private int action;

    /** The sub-graph that was being run when this was saved, until it is taken up again. */
    private Position.@Nullable SubGraph saved;

    /** A run of the graph. */
    GraphRunnerContext(
            CompiledGraph graph,
            RunScope scope,
            boolean streaming,
            GraphState state,
            @Nullable RunCheckpoints checkpoints) {
        this(
                new Whole(graph, scope, streaming, List.of(), graph.keyStrategies(), checkpoints),
                null,
                scope,
                null,
                null,
                state,
                false,
                true);
    }

    private GraphRunnerContext(
            Whole run,
            @Nullable GraphRunnerContext around,
            RunScope scope,
            @Nullable String stop,
            @Nullable UpdateLog log,
            GraphState state,
            boolean branch,
            boolean alone) {
        this.run = run;
        this.around = around;
        this.scope = scope;
        this.stop = stop;
        this.log = log;
        this.state = state;
        this.branch = branch;
        this.alone = alone;
    }

    /** A branch that starts where this stands, with the given node, and ends before the join. */
    GraphRunnerContext branch(String first, String join) {
        GraphRunnerContext started = branch(join, new UpdateLog(run.strategies), state);
        started.node = node;
        started.next = first;
        return started;
    }

    private GraphRunnerContext branch(String join, UpdateLog written, GraphState begun) {
        return new GraphRunnerContext(run, this, scope.branch(), join, written, begun, true, false);
    }

    /** The run of a sub-graph with a state of its own. */
    GraphRunnerContext inside(CompiledGraph graph, RunScope nodeScope, Map<String, ?> input) {
        return inside(graph, nodeScope, graph.keyStrategies(), null, graph.begin(input));
    }

    /** The run of a sub-graph on this state. */
    GraphRunnerContext inside(CompiledGraph graph, RunScope nodeScope) {
        return inside(graph, nodeScope, run.strategies, new UpdateLog(run.strategies), state);
    }

    private GraphRunnerContext inside(
            CompiledGraph graph,
            RunScope nodeScope,
            Map<String, KeyStrategy> strategies,
            @Nullable UpdateLog written,
            GraphState begun) {
        Position.SubGraph before = saved == null || !saved.graph().equals(graph.name()) ? null : saved;
        saved = null;
        Whole whole = new Whole(
                graph,
                run.scope,
                run.streaming,
                Stream.concat(run.path.stream(), Stream.of(node)).toList(),
                strategies,
                run.checkpoints);
        GraphRunnerContext part = new GraphRunnerContext(
                whole,
                this,
                graph.configure(nodeScope),
                StateGraph.END,
                before == null ? written : before.position().log(strategies),
                before == null ? begun : before.position().state(),
                false,
                alone);
        if (before != null) {
            part.restore(before.position());
        }
        inner = new Inner(node, action, Objects.requireNonNull(nodeScope.round(), "round"), part);
        return part;
    }

    /** Goes on where a run, or this part of one, was saved. */
    void restore(Position position) {
        for (String stood : Stream.of(position.node(), position.next())
                .filter(Objects::nonNull)
                .toList()) {
            if (!run.graph.has(stood)) {
                throw new CheckpointException(
                        "graph \"%s\": the run was saved at node \"%s\", which is no node of it now"
                                .formatted(graph(), stood));
            }
        }
        if (position.counts() != null) {
            run.restore(position.counts());
        }
        for (Map<String, ?> update : position.feedback()) {
            state = state.with(update, run.strategies);
        }
        node = position.node();
        next = position.next();
        afterChecked = position.afterChecked();
        beforeChecked = position.beforeChecked();
        saved = position.subGraph();
        if (!position.branches().isEmpty()) {
            if (!run.graph.forks(node)) {
                throw new CheckpointException(
                        "graph \"%s\": the run was saved in branches of node \"%s\", which has none now"
                                .formatted(graph(), node));
            }
            String join = run.graph.join(node);
            branches = position.branches().stream()
                    .map(part -> restoredBranch(part, join))
                    .toList();
        }
    }

    private GraphRunnerContext restoredBranch(Position position, String join) {
        UpdateLog written = Objects.requireNonNull(position.log(run.strategies), "log");
        GraphRunnerContext restored = branch(join, written, position.state());
        restored.scope.tally().restore(position.usage().get());
        restored.restore(position);
        return restored;
    }

    /** Where this stands. */
    Position position() {
        return new Position(
                node,
                next,
                afterChecked,
                beforeChecked,
                interrupt,
                state,
                List.of(),
                log == null ? null : log.copy(),
                branch ? null : run.counts(),
                branches.stream().map(GraphRunnerContext::position).toList(),
                subGraph(),
                scope::usage);
    }

    private Position.@Nullable SubGraph subGraph() {
        Inner now = inner;
        return now == null
                ? saved
                : new Position.SubGraph(now.node, now.action, now.part.graph(), now.round, now.part.position());
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

    void whenSettled(Runnable action) {
        run.scope.tally().whenSettled(action);
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

    /** Whether this waits, or what is inside of it: then it has no further step. */
    boolean isInterrupted() {
        return interrupted;
    }

    @Nullable
    RunCheckpoints checkpoints() {
        return run.checkpoints;
    }

    /** Whether the run is to be saved when this has taken a step. */
    boolean isSaved() {
        return run.checkpoints != null && alone;
    }

    /** Whether a node was being run when this was saved, whose sub-graph is to be gone on with. */
    boolean isInsideNode() {
        return saved != null;
    }

    /** The branches that had started and not met when this was saved. */
    List<GraphRunnerContext> branches() {
        return branches;
    }

    /** Whether the run is to wait after the node that has run; a second time it is not. */
    boolean interruptsAfter() {
        boolean waits = !afterChecked && run.graph.interruptsAfter(node);
        afterChecked = true;
        return waits;
    }

    /** Whether the run is to wait before the given node; a second time it is not. */
    boolean interruptsBefore(String target) {
        boolean waits = !beforeChecked && run.graph.interruptsBefore(target);
        beforeChecked = false;
        return waits;
    }

    /** Waits, before the given node, or if it is null, after the one that has run. */
    void interrupt(@Nullable String before) {
        if (run.checkpoints == null) {
            throw new GraphRunException(
                    "graph \"%s\": it is interrupted %s node \"%s\", but nothing saves the run that it is a part of: give the outermost graph a CheckpointSaver"
                            .formatted(
                                    graph(),
                                    before == null ? "after" : "before",
                                    Objects.requireNonNullElse(before, node)),
                    graph(),
                    node,
                    usage(),
                    null);
        }
        interrupt = before == null ? Interrupt.When.AFTER : Interrupt.When.BEFORE;
        stopBefore(before);
        interrupted = true;
    }

    /** Has no further step, with the given node as the next one. */
    void stopBefore(@Nullable String target) {
        next = target;
    }

    /** The nodes that are next, or {@link StateGraph#END}. */
    List<String> advance() {
        String given = next;
        next = null;
        return given == null ? run.graph.next(node, state, this) : List.of(given);
    }

    void moveTo(String target) {
        if (!target.equals(StateGraph.END) && run.iterations.getAndIncrement() >= run.graph.maxIterations()) {
            throw run.graph.tooMany(target, usage());
        }
        node = target;
        afterChecked = false;
        leave();
    }

    /** Starts branches where this stands. */
    void fork(List<GraphRunnerContext> started) {
        branches = started;
        branchesStopped = false;
    }

    /** Lets no branch take a further step. */
    void stopBranches() {
        branchesStopped = true;
    }

    /**
     * Whether this is not to do anything more. Cancellation alone does not tell in time: flatMap() asks each branch for one
     * more output after it has been cancelled, or has seen an error, while it hands on another one.
     */
    boolean isStopped() {
        for (GraphRunnerContext part = this; part.around != null; part = part.around) {
            if (part.branch && part.around.branchesStopped) {
                return true;
            }
        }
        return false;
    }

    /** Goes on at the join, if all branches have come there. */
    void join(String join) {
        if (branches.stream().anyMatch(GraphRunnerContext::isInterrupted)) {
            interrupted = true;
        } else {
            merge(branches, join);
            branches = List.of();
        }
    }

    /** The node's action whose sub-graph was being run when this was saved, its fallbacks counted from 1; 0 if none was. */
    int savedAction() {
        return saved == null ? 0 : saved.action();
    }

    /** Takes the node's action, or a fallback, which are counted from 1. */
    void takes(int actionOfNode) {
        action = actionOfNode;
    }

    /** Is done with the sub-graph that the node has run. */
    private void leave() {
        inner = null;
        saved = null;
    }

    /** Waits, as the sub-graph does that the node runs. */
    void waitInside() {
        interrupted = true;
    }

    /** Merges what branches have written, in their order, and goes on at their join. */
    private void merge(List<GraphRunnerContext> branches, String join) {
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
        leave();
        UpdateLog written = part.written();
        state = state.with(written, run.strategies);
        if (log != null) {
            log.addAll(written);
        }
    }

    /** The scope of one execution of a node: a branch of the run's, labelled with the node and how often it came there. */
    RunScope enter(String nodeId) {
        Position.SubGraph before = saved;
        if (before != null) {
            RunScope again = scope.branch().withNode(nodeId).withRound(before.round());
            again.tally().restore(before.position().usage().get());
            return again;
        }
        int visit = run.visits.merge(nodeId, 1, Integer::sum);
        return scope.branch().withNode(nodeId).withRound(visit);
    }

    /** Merges what a node says into the state, and what it used into the total. */
    void merge(RunScope nodeScope, Map<String, ?> update) {
        leave();
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
    void accumulate(RunScope nodeScope, @Nullable Object delta) {
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
