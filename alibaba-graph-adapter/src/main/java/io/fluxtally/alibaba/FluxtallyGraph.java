package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.GraphResponse;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.OverAllState;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.checkpoint.Checkpoint;
import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import com.alibaba.cloud.ai.graph.state.StateSnapshot;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;

/**
 * A compiled graph of Spring AI Alibaba whose usage is exact, and which is otherwise the graph that it was compiled from.
 *
 * <p>{@code NodeOutput.tokenUsage()} of the output that ends a run (the outermost {@code END}, or an interruption) is the total of
 * the run; that of a node's finished output is what the node used itself. {@link GraphUsage} has the rest.
 *
 * <p>Every run is booked where it is subscribed to: inside a {@code RunScope} to that, else to a run of its own. What a model
 * used is heard at the wire tap, at a {@code UsageChatModel}, or, of what nodes stream, right here.
 *
 * <p>Safe for use by any number of threads and runs, as the graph that it extends is.
 */
public class FluxtallyGraph extends CompiledGraph {

    private final UsageRecorder recorder;
    private final @Nullable String agent;

    /** The graphs that nodes of this one run, by what they were compiled to. */
    private final Map<CompiledGraph, FluxtallyGraph> inside = Collections.synchronizedMap(new WeakHashMap<>());

    private final CompileConfig originalConfig;

    private FluxtallyGraph(StateGraph graph, CompileConfig config, UsageRecorder recorder, @Nullable String agent)
            throws GraphStateException {
        super(graph, withUsageSaver(config));
        this.originalConfig = config;
        this.recorder = Objects.requireNonNull(recorder, "recorder");
        this.agent = agent;
    }

    /**
     * Compiles a graph as {@code stateGraph.compile()} does.
     *
     * @throws GraphStateException if that does
     */
    public static FluxtallyGraph compile(StateGraph stateGraph) throws GraphStateException {
        return of(stateGraph.compile(), UsageRecorder.shared());
    }

    /**
     * Compiles a graph as {@code stateGraph.compile(config)} does.
     *
     * @throws GraphStateException if that does
     */
    public static FluxtallyGraph compile(StateGraph stateGraph, CompileConfig config) throws GraphStateException {
        return compile(stateGraph, config, UsageRecorder.shared());
    }

    /**
     * Compiles a graph as {@code stateGraph.compile(config)} does; streams that it captures itself are booked to the given
     * recorder.
     *
     * @throws GraphStateException if that does
     */
    public static FluxtallyGraph compile(StateGraph stateGraph, CompileConfig config, UsageRecorder recorder)
            throws GraphStateException {
        stateGraph.compile(config);
        return new FluxtallyGraph(stateGraph, config, recorder, null);
    }

    /** The same graph as one that was compiled already; one of this class is returned as it is. */
    public static FluxtallyGraph of(CompiledGraph compiled) {
        return of(compiled, UsageRecorder.shared());
    }

    /**
     * The same graph as one that was compiled already; one of this class is returned as it is.
     *
     * @throws IllegalArgumentException if the graph is of a class of its own, whose behaviour would be lost
     */
    public static FluxtallyGraph of(CompiledGraph compiled, UsageRecorder recorder) {
        return of(compiled, recorder, null);
    }

    static FluxtallyGraph of(CompiledGraph compiled, UsageRecorder recorder, @Nullable String agent) {
        if (compiled instanceof FluxtallyGraph ours) {
            return ours;
        }
        if (!canBe(compiled)) {
            throw new IllegalArgumentException(
                    "compiled must be a CompiledGraph and of no class of its own, but is a " + compiled.getClass());
        }
        try {
            CompileConfig config = CompileConfig.builder(compiled.compileConfig)
                    .recursionLimit(compiled.getMaxIterations())
                    .build();
            return new FluxtallyGraph(compiled.stateGraph, config, recorder, agent);
        } catch (GraphStateException impossible) {
            throw new IllegalStateException("The graph compiled once and does not twice", impossible);
        }
    }

    private static CompileConfig withUsageSaver(CompileConfig config) {
        return CompileConfig.builder(config)
                .saverConfig(UsageSaver.of(config::checkpointSaver))
                // The copy of a config lacks its recursion limit.
                .recursionLimit(config.recursionLimit())
                .build();
    }

    /** Whether a compiled graph can be had as one of this class. */
    static boolean canBe(CompiledGraph compiled) {
        return compiled instanceof FluxtallyGraph || compiled.getClass() == CompiledGraph.class;
    }

    UsageRecorder recorder() {
        return recorder;
    }

    /** Whose graph this is: the agent's, or what the config says. */
    @Nullable
    String agentOf(RunnableConfig config) {
        if (agent != null) {
            return agent;
        }
        return config.metadata(RunnableConfig.AGENT_NAME_KEY)
                .filter(String.class::isInstance)
                .map(String.class::cast)
                .orElse(null);
    }

    /** A graph that a node of this one runs, as one of this class if it can be. */
    CompiledGraph inside(CompiledGraph subGraph) {
        if (subGraph instanceof FluxtallyGraph || !canBe(subGraph)) {
            return subGraph;
        }
        return inside.computeIfAbsent(subGraph, graph -> of(graph, recorder));
    }

    /** The checkpoint that a config asks for, as the app's saver has it, or null if there is none. */
    @Nullable
    Checkpoint storedCheckpoint(RunnableConfig config) {
        try {
            return originalConfig
                    .checkpointSaver()
                    .flatMap(saver -> saver.get(config))
                    .orElse(null);
        } catch (RuntimeException forTheGraphToSee) {
            return null;
        }
    }

    /** What all runs of a thread used, as far as its checkpoints say. */
    RunUsage usageOfThread(RunnableConfig config) {
        RunTally tally = new RunTally();
        originalConfig
                .checkpointSaver()
                .ifPresent(saver -> saver.list(config).forEach(checkpoint -> {
                    StoredUsage stored = StoredUsage.in(checkpoint);
                    if (stored != null) {
                        tally.addAll(stored.usage());
                    }
                }));
        return tally.usage();
    }

    @Override
    public Map<String, Object> getInitialState(Map<String, Object> inputs, RunnableConfig config) {
        return RunThread.inGraph() != null
                ? super.getInitialState(inputs, config)
                : UsageSaver.betweenRuns(() -> super.getInitialState(inputs, config));
    }

    @Override
    public Collection<StateSnapshot> getStateHistory(RunnableConfig config) {
        return UsageSaver.betweenRuns(() -> super.getStateHistory(config));
    }

    @Override
    public Optional<StateSnapshot> stateOf(RunnableConfig config) {
        return UsageSaver.betweenRuns(() -> super.stateOf(config));
    }

    @Override
    public RunnableConfig updateState(RunnableConfig config, Map<String, Object> values, @Nullable String asNode)
            throws Exception {
        return UsageSaver.betweenRuns(() -> super.updateState(config, values, asNode));
    }

    @Override
    public @Nullable AsyncNodeActionWithConfig getNodeAction(String nodeId) {
        AsyncNodeActionWithConfig action = super.getNodeAction(nodeId);
        return action == null ? null : ScopedAction.of(this, nodeId, action);
    }

    @Override
    public Flux<NodeOutput> streamFromInitialNode(OverAllState overAllState, RunnableConfig config) {
        return new RunFlux<>(super.streamFromInitialNode(overAllState, config), this, config, GraphRun::complete);
    }

    @Override
    public Flux<GraphResponse<NodeOutput>> graphResponseStream(OverAllState state, RunnableConfig config) {
        return new RunFlux<>(super.graphResponseStream(state, config), this, config, FluxtallyGraph::complete);
    }

    private static void complete(GraphRun run, GraphResponse<NodeOutput> response) {
        try {
            if (response.getOutput() != null
                    && response.getOutput().isDone()
                    && !response.getOutput().isCompletedExceptionally()) {
                run.complete(response.getOutput().join());
            }
            if (response.resultValue().orElse(null) instanceof NodeOutput output) {
                run.complete(output);
            }
        } catch (Throwable failure) {
            MeasuringFailures.report("the response of a graph", failure);
        }
    }
}
