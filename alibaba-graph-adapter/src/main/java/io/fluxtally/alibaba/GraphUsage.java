package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/** What a run used, in full: its requests, by agent, node, round and model. */
public final class GraphUsage {

    private GraphUsage() {}

    /**
     * What was returned, and what the run behind it used.
     *
     * @param result what was returned
     * @param usage what the run used
     * @param <T> the type of the result
     */
    public record Measured<T extends @Nullable Object>(T result, RunUsage usage) {}

    /** The usage of the run that ended with an output, or empty if it is not the output that ended one. */
    public static Optional<RunUsage> of(NodeOutput output) {
        return output.tokenUsage() instanceof RunTotals totals ? Optional.of(totals.runUsage()) : Optional.empty();
    }

    /**
     * What the run that this thread works for used so far, or empty if it works for none: for the code of nodes, tools, hooks and
     * interceptors.
     */
    public static Optional<RunUsage> current() {
        GraphRun run = RunThread.current();
        if (run != null) {
            return Optional.of(run.root().scope().usage());
        }
        UsageScope scope = UsageScope.current();
        RunScope around = scope == null ? null : scope.runScope();
        return around == null ? Optional.empty() : Optional.of(around.usage());
    }

    /**
     * What all runs of a thread used, as far as the checkpoints that are there say: of a run that was cancelled or broke, what it
     * had used when it reached its last checkpoint. Reads all of them. Nothing if the graph has no saver.
     *
     * @param graph the graph; the checkpoints of one that is no {@link FluxtallyGraph} say nothing
     * @param config the config with the id of the thread
     */
    public static RunUsage ofThread(CompiledGraph graph, RunnableConfig config) {
        return graph instanceof FluxtallyGraph ours ? ours.usageOfThread(config) : RunUsage.EMPTY;
    }

    /**
     * The given executor, whose tasks work for the run that the thread which submits them works for: for nodes and tools that
     * call a model on threads of their own.
     */
    public static Executor inRun(Executor executor) {
        return task -> {
            UsageScope scope = UsageScope.current();
            executor.execute(
                    scope == null
                            ? task
                            : () -> {
                                UsageScope.Binding binding = scope.bind();
                                try (binding) {
                                    task.run();
                                }
                            });
        };
    }

    /**
     * Runs what blocks, and reads what it used: {@code GraphUsage.measure(() -> agent.call(question))}. Inside another run it is
     * counted in that as well.
     *
     * @throws Exception whatever the task throws
     */
    public static <T extends @Nullable Object> Measured<T> measure(Callable<T> task) throws Exception {
        UsageScope outer = UsageScope.current();
        RunScope around = outer == null ? null : outer.runScope();
        RunScope scope = around == null ? RunScope.start() : around.branch();
        T result = scope.call(task);
        return new Measured<>(result, scope.usage());
    }
}
