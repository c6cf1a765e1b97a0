package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.OverAllState;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.action.InterruptionMetadata;
import com.alibaba.cloud.ai.graph.checkpoint.Checkpoint;
import com.alibaba.cloud.ai.graph.streaming.OutputType;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * One execution of one graph: what its requests are booked to, and what its outputs are to say.
 *
 * <p>A graph that is embedded in the stream of another has a run of its own inside the other's; only the outermost puts its total
 * on an output.
 *
 * <p>Safe for use by the threads of a run. It holds on to nothing that outlives the run.
 */
final class GraphRun {

    /** The key in a Reactor {@code Context} of the run that a stream is part of. */
    static final String KEY = "io.fluxtally.alibaba.run";

    /** What stands between the name of a merged agent and those of its nodes. */
    private static final String MERGED = "-_AGENT_";

    private static final String PART = "the outputs of a graph";

    private final FluxtallyGraph graph;
    private final @Nullable GraphRun enclosing;
    private final RunScope scope;
    /** How often each agent's model was asked, by the name of its node. */
    private final ConcurrentMap<String, AtomicInteger> rounds = new ConcurrentHashMap<>();

    /** The last execution of each node, by the node's name on its outputs. */
    private final ConcurrentMap<String, NodeRun> nodes = new ConcurrentHashMap<>();

    private final RunnableConfig config;

    /** The requests as they were written to checkpoints, by their ids. */
    private final ConcurrentMap<String, String> written = new ConcurrentHashMap<>();

    /** The stored checkpoint that the run goes on from, until the graph asks for it. */
    private volatile @Nullable Checkpoint resumedFrom;

    /** The id of the run that this one goes on with, as its checkpoint has it, or null for a new one. */
    private volatile @Nullable String resumedRunId;

    /** In which form the app reads usage in this run, or null while it has read none that has one. */
    private volatile @Nullable NativeKind kind;

    private GraphRun(FluxtallyGraph graph, RunnableConfig config, @Nullable GraphRun enclosing, RunScope scope) {
        this.graph = graph;
        this.config = config;
        this.enclosing = enclosing;
        this.scope = scope;
    }

    /**
     * A run that starts now.
     *
     * @param context the context of whoever subscribes to the run
     */
    static GraphRun open(FluxtallyGraph graph, RunnableConfig config, ContextView context) {
        GraphRun enclosing = context.getOrDefault(KEY, null);
        UsageScope outer = UsageScope.current(context);
        RunScope around = outer == null ? null : outer.runScope();
        Checkpoint checkpoint = isResumed(config) ? graph.storedCheckpoint(config) : null;
        StoredUsage before = checkpoint == null ? null : StoredUsage.in(checkpoint);
        RunScope scope =
                around != null ? around.branch() : before != null ? RunScope.start(before.runId()) : RunScope.start();
        String agent = graph.agentOf(config);
        if (agent != null) {
            scope = scope.withAgent(agent);
        }
        GraphRun run = new GraphRun(
                graph, config, enclosing, inside(outer, scope.withNode(null).withRound(null)));
        run.resumedFrom = checkpoint;
        if (before != null) {
            run.goOnFrom(before);
        }
        return run;
    }

    /** Whether the graph will go on from a checkpoint, by the rule of its {@code GraphRunnerContext}. */
    private static boolean isResumed(RunnableConfig config) {
        return config.metadata(RunnableConfig.HUMAN_FEEDBACK_METADATA_KEY).isPresent()
                || config.checkPointId().isPresent();
    }

    private void goOnFrom(StoredUsage before) {
        resumedRunId = before.runId();
        scope.tally().restore(before.usage());
        // A graph around this one may have no checkpoint since: it was interrupted in the middle of the node that this
        // one is. What the node used in an earlier run of the thread is not part of that.
        for (GraphRun run = enclosing; run != null && before.runId().equals(run.resumedRunId); run = run.enclosing) {
            run.scope.tally().restore(before.usage());
        }
        for (RequestUsage request : before.usage().requests()) {
            Integer round = request.round();
            String node = request.node();
            if (round != null && node != null && Objects.equals(request.agent(), agentOf(node))) {
                rounds(node).accumulateAndGet(round, Math::max);
            }
        }
    }

    private AtomicInteger rounds(String node) {
        return rounds.computeIfAbsent(node, name -> new AtomicInteger());
    }

    /** Whose node it is. A graph that was merged into another has its name before those of its nodes. */
    private @Nullable String agentOf(String node) {
        int merged = node.indexOf(MERGED);
        return merged > 0 ? node.substring(0, merged) : scope.agent();
    }

    /** Whether a node is the one of that name in an agent, or in one that was merged into this graph. */
    static boolean isAgentNode(String node, String name) {
        return node.equals(name) || node.endsWith("-" + name);
    }

    /**
     * The checkpoint that this run goes on from, if that is what the config asks for; once, since it was read for that alone.
     */
    @Nullable
    Optional<Checkpoint> resumedFrom(RunnableConfig asked) {
        Checkpoint checkpoint = resumedFrom;
        if (checkpoint == null || asked != config) {
            return null;
        }
        resumedFrom = null;
        return Optional.of(checkpoint);
    }

    /** Whether a config is that of this run, as it is or as the graph has gone on with it. */
    boolean isOf(RunnableConfig other) {
        return config.threadId().equals(other.threadId());
    }

    /** What this run has used so far, for a checkpoint. */
    String stored() {
        return StoredUsage.write(scope.runId(), scope.usage(), written);
    }

    /** A scope that is entered inside a model call keeps it. */
    private static RunScope inside(@Nullable UsageScope outer, RunScope scope) {
        Context entered = scope.writeTo(outer == null ? Context.empty() : Context.of(UsageScope.KEY, outer));
        return entered.<UsageScope>get(UsageScope.KEY) instanceof RunScope resolved ? resolved : scope;
    }

    FluxtallyGraph graph() {
        return graph;
    }

    RunScope scope() {
        return scope;
    }

    UsageRecorder recorder() {
        return graph.recorder();
    }

    /** The outermost run of the stream that this one is part of. */
    GraphRun root() {
        GraphRun run = this;
        while (run.enclosing != null) {
            run = run.enclosing;
        }
        return run;
    }

    boolean isOutermost() {
        return enclosing == null;
    }

    /** The given context with this run in it. */
    Context writeTo(Context context) {
        return scope.writeTo(context.put(KEY, this));
    }

    /**
     * A node starts.
     *
     * @param around the parallel node that it is a branch of, or null
     */
    NodeRun start(String node, OverAllState state, @Nullable NodeRun around) {
        RunScope own = (around == null ? scope : around.scope())
                .branch()
                .withNode(node)
                .withAgent(agentOf(node));
        if (isAgentNode(node, RunnableConfig.AGENT_MODEL_NAME)) {
            own = own.withRound(rounds(node).incrementAndGet());
        }
        NodeRun started = new NodeRun(this, own, state);
        show(node, started);
        return started;
    }

    /** Says under which name the outputs of a node appear. */
    void show(String name, NodeRun node) {
        nodes.put(name, node);
    }

    /** Hears what a node streams. */
    void hear(Object element) {
        if (element instanceof ChatResponse response) {
            try {
                heard(response.getMetadata().getUsage());
            } catch (Throwable failure) {
                MeasuringFailures.report("what a node streams", failure);
            }
        }
    }

    /** Hears a usage that the app can read as it is. */
    void heard(@Nullable Object usage) {
        NativeKind heard = NativeKind.of(usage);
        if (heard != null) {
            root().kind = heard;
        }
    }

    private NativeKind kind(RunUsage usage) {
        NativeKind heard = root().kind;
        return heard != null ? heard : NativeKind.of(usage);
    }

    /** Puts on an output what it is to say. */
    void complete(NodeOutput output) {
        try {
            heard(output.tokenUsage());
            if (output instanceof StreamingOutput<?> streaming) {
                completeNode(streaming);
            } else if (isOutermost() && isEnd(output)) {
                RunUsage usage = scope.usage();
                if (usage.sum().requests() > 0 || usage.inFlight() > 0) {
                    output.setTokenUsage(RunTotals.of(usage, kind(usage)));
                }
            }
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    private static boolean isEnd(NodeOutput output) {
        return output instanceof InterruptionMetadata || (output.isEND() && !output.isSubGraph());
    }

    /**
     * A node's finished output says what the node used itself. In calls the graph repeats there what the last model node said; a
     * figure that is right is left as it is, and none is put where neither the graph nor the node has one.
     */
    private void completeNode(StreamingOutput<?> output) {
        if (!isFinished(output.getOutputType())) {
            return;
        }
        NodeRun node = nodes.get(output.node());
        if (node == null || !isOf(output, node)) {
            return;
        }
        RunUsage usage = node.usage();
        if (usage.sum().requests() == 0 && output.tokenUsage() == null) {
            return;
        }
        TokenUsage own = usage.total();
        if (!isSame(output.tokenUsage(), own)) {
            output.setTokenUsage(kind(usage).usage(own));
        }
    }

    /** Whether an output is of this graph and not of one that is embedded in it, which has completed it itself. */
    private static boolean isOf(StreamingOutput<?> output, NodeRun node) {
        return output.state() == node.state() || !output.isSubGraph();
    }

    private static boolean isFinished(@Nullable OutputType type) {
        return type != null
                && switch (type) {
                    case AGENT_MODEL_FINISHED, AGENT_TOOL_FINISHED, AGENT_HOOK_FINISHED, GRAPH_NODE_FINISHED -> true;
                    case AGENT_MODEL_STREAMING, AGENT_TOOL_STREAMING, AGENT_HOOK_STREAMING, GRAPH_NODE_STREAMING ->
                        false;
                };
    }

    /** Whether a usage of a client's says the same; one that throws where its counts are null does not. */
    private static boolean isSame(@Nullable Usage usage, TokenUsage own) {
        if (usage == null) {
            return false;
        }
        try {
            return own.getPromptTokens().equals(usage.getPromptTokens())
                    && own.getCompletionTokens().equals(usage.getCompletionTokens())
                    && own.getTotalTokens().equals(usage.getTotalTokens());
        } catch (RuntimeException lacksCounts) {
            return false;
        }
    }
}
