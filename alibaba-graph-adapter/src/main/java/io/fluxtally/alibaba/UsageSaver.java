package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.checkpoint.BaseCheckpointSaver;
import com.alibaba.cloud.ai.graph.checkpoint.Checkpoint;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * An app's saver, whose checkpoints keep what their runs had used.
 *
 * <p>It stands before the app's saver only while a graph's own code asks for it. Whoever else asks gets the app's, so that code that
 * compares or casts savers finds what it knows.
 */
final class UsageSaver implements BaseCheckpointSaver {

    /** Whether this thread works on checkpoints outside of any run. */
    private static final ThreadLocal<@Nullable Boolean> BETWEEN_RUNS = new ThreadLocal<>();

    private final BaseCheckpointSaver saver;

    private UsageSaver(BaseCheckpointSaver saver) {
        this.saver = saver;
    }

    /**
     * A config whose saver is one of these for the code of graphs.
     *
     * @param original where the app's saver comes from
     */
    static SaverConfig of(Supplier<Optional<BaseCheckpointSaver>> original) {
        return new ForGraphs(original);
    }

    private static final class ForGraphs extends SaverConfig {

        private final Supplier<Optional<BaseCheckpointSaver>> original;

        ForGraphs(Supplier<Optional<BaseCheckpointSaver>> original) {
            this.original = original;
        }

        @Override
        public @Nullable BaseCheckpointSaver get() {
            BaseCheckpointSaver saver = original.get().orElse(null);
            boolean byGraph = BETWEEN_RUNS.get() != null || RunThread.inGraph() != null;
            return saver == null || !byGraph ? saver : new UsageSaver(saver);
        }

        @Override
        public List<BaseCheckpointSaver> getAll() {
            return original.get().map(List::of).orElse(List.of());
        }
    }

    /** What a graph does with checkpoints. */
    @FunctionalInterface
    interface Work<T, X extends Exception> {

        T run() throws X;
    }

    /** Does what a graph does with checkpoints outside of its runs. */
    static <T, X extends Exception> T betweenRuns(Work<T, X> work) throws X {
        Boolean before = BETWEEN_RUNS.get();
        BETWEEN_RUNS.set(true);
        try {
            return work.run();
        } finally {
            if (before == null) {
                BETWEEN_RUNS.remove();
            }
        }
    }

    @Override
    public Optional<Checkpoint> get(RunnableConfig config) {
        GraphRun run = BETWEEN_RUNS.get() == null ? RunThread.inGraph() : null;
        Optional<Checkpoint> stored = run == null ? null : run.resumedFrom(config);
        return (stored == null ? saver.get(config) : stored).map(StoredUsage::outOf);
    }

    @Override
    public Collection<Checkpoint> list(RunnableConfig config) {
        List<Checkpoint> checkpoints = new ArrayList<>();
        saver.list(config).forEach(stored -> checkpoints.add(StoredUsage.outOf(stored)));
        return checkpoints;
    }

    @Override
    public RunnableConfig put(RunnableConfig config, Checkpoint checkpoint) throws Exception {
        return saver.put(config, toStore(config, checkpoint));
    }

    private Checkpoint toStore(RunnableConfig config, Checkpoint checkpoint) {
        try {
            GraphRun run = BETWEEN_RUNS.get() == null ? RunThread.inGraph() : null;
            if (run != null && run.isOf(config)) {
                return StoredUsage.into(checkpoint, run.stored());
            }
            // A checkpoint that somebody changes goes on with what was used until then.
            return saver.get(config)
                    .map(before -> before.getState().get(StoredUsage.KEY))
                    .map(text -> StoredUsage.into(checkpoint, text))
                    .orElse(checkpoint);
        } catch (Throwable failure) {
            MeasuringFailures.report("the usage for a checkpoint", failure);
            return checkpoint;
        }
    }

    @Override
    public Tag release(RunnableConfig config) throws Exception {
        Tag tag = saver.release(config);
        return tag == null
                ? tag
                : new Tag(
                        tag.threadId(),
                        tag.checkpoints().stream().map(StoredUsage::outOf).toList());
    }
}
