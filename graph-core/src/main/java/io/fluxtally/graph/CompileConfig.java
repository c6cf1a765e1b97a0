package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.StateSerializer;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Settings of a compiled graph. Immutable, and safe for use by any number of threads. */
public final class CompileConfig {

    /** At most 1,000 node executions, the recorder of this process, no agent, at most 256 branches at once, no limits on usage, not saved, never interrupted. */
    public static final CompileConfig DEFAULT = new CompileConfig(new Settings());

    /** What is set; written only before it is handed to its config. */
    private static final class Settings {

        private long maxIterations = 1_000;
        private @Nullable Integer maxRounds;
        private UsageRecorder recorder = UsageRecorder.shared();
        private @Nullable String agent;
        private int maxParallel = 256;
        private UsageLimits limits = UsageLimits.NONE;
        private @Nullable CheckpointSaver checkpoints;
        private StateSerializer serializer = StateSerializer.DEFAULT;
        private Set<String> interruptBefore = Set.of();
        private Set<String> interruptAfter = Set.of();

        Settings copy() {
            Settings copy = new Settings();
            copy.maxIterations = maxIterations;
            copy.maxRounds = maxRounds;
            copy.recorder = recorder;
            copy.agent = agent;
            copy.maxParallel = maxParallel;
            copy.limits = limits;
            copy.checkpoints = checkpoints;
            copy.serializer = serializer;
            copy.interruptBefore = interruptBefore;
            copy.interruptAfter = interruptAfter;
            return copy;
        }
    }

    private final Settings settings;

    private CompileConfig(Settings settings) {
        this.settings = settings;
    }

    private CompileConfig with(Consumer<Settings> change) {
        Settings changed = settings.copy();
        change.accept(changed);
        return new CompileConfig(changed);
    }

    private static void checkPositive(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException("%s must be 1 or more, but is %d".formatted(name, value));
        }
    }

    /** How many node executions a run may have, those of its branches included; a sub-graph has its own. */
    public long maxIterations() {
        return settings.maxIterations;
    }

    /** The rounds of an agent that the node executions come from, for an error to name; null where they are not counted in rounds. */
    public @Nullable Integer maxRounds() {
        return settings.maxRounds;
    }

    /** Where requests are booked, beside the run; those that the wire tap sees go to the tap's own. */
    public UsageRecorder recorder() {
        return settings.recorder;
    }

    /** The agent that the graph is, or null. */
    public @Nullable String agent() {
        return settings.agent;
    }

    /** How many branches of a fan-out run at once; the others begin in their order as these end. */
    public int maxParallel() {
        return settings.maxParallel;
    }

    /** How much each run may use, with all that it is made of; those of a run that it is a part of hold beside. */
    public UsageLimits limits() {
        return settings.limits;
    }

    /** Where runs are saved, or null; those of a sub-graph are saved with the run that they are a part of. */
    public @Nullable CheckpointSaver checkpoints() {
        return settings.checkpoints;
    }

    /** Makes the values of the state into JSON when a run is saved. */
    public StateSerializer serializer() {
        return settings.serializer;
    }

    /** The nodes before which a run is interrupted each time that it comes to them. */
    public Set<String> interruptBefore() {
        return settings.interruptBefore;
    }

    /** The nodes after which a run is interrupted each time that they have run. */
    public Set<String> interruptAfter() {
        return settings.interruptAfter;
    }

    /**
     * The same settings with another limit on node executions.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public CompileConfig withMaxIterations(long value) {
        checkPositive("maxIterations", value);
        return with(changed -> {
            changed.maxIterations = value;
            changed.maxRounds = null;
        });
    }

    /**
     * The same settings with a limit on the rounds of an agent's loop, each of which is two node executions but for the
     * last, which has no tools to run.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public CompileConfig withMaxRounds(int value) {
        checkPositive("maxRounds", value);
        return with(changed -> {
            changed.maxIterations = value * 2L - 1;
            changed.maxRounds = value;
        });
    }

    /** The same settings with another recorder. */
    public CompileConfig withRecorder(UsageRecorder value) {
        Objects.requireNonNull(value, "recorder");
        return with(changed -> changed.recorder = value);
    }

    /** The same settings for an agent of the given name. */
    public CompileConfig withAgent(@Nullable String value) {
        return with(changed -> changed.agent = value);
    }

    /**
     * The same settings with another limit on branches at once.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public CompileConfig withMaxParallel(int value) {
        checkPositive("maxParallel", value);
        return with(changed -> changed.maxParallel = value);
    }

    /**
     * The same settings with limits on what a run may use. A node whose model call goes beyond them fails with a
     * {@code UsageLimitExceededException}, before anything is requested. A bare model's stream that a node returns is
     * counted, but refused only where the wire tap sees it; {@link GraphRunnerContext#capture} makes it one that is.
     */
    public CompileConfig withLimits(UsageLimits value) {
        Objects.requireNonNull(value, "limits");
        return with(changed -> changed.limits = value);
    }

    /**
     * The same settings for a graph whose runs are saved as they go: a {@link GraphThread} takes them up again. The values
     * of its state must be such as the {@linkplain #withSerializer serializer} takes.
     */
    public CompileConfig withCheckpoints(CheckpointSaver value) {
        Objects.requireNonNull(value, "checkpoints");
        return with(changed -> changed.checkpoints = value);
    }

    /** The same settings with another serializer, for a state that has values of the app's own types. */
    public CompileConfig withSerializer(StateSerializer value) {
        Objects.requireNonNull(value, "serializer");
        return with(changed -> changed.serializer = value);
    }

    /**
     * The same settings with other nodes before which a run is interrupted. It is saved then, and its last output is an
     * {@link InterruptedOutput}. Branches that run beside go on until they are interrupted too, or done.
     */
    public CompileConfig withInterruptBefore(String... nodes) {
        Set<String> names = Set.of(nodes);
        return with(changed -> changed.interruptBefore = names);
    }

    /** The same settings with other nodes after which a run is interrupted, before it is decided where it goes on. */
    public CompileConfig withInterruptAfter(String... nodes) {
        Set<String> names = Set.of(nodes);
        return with(changed -> changed.interruptAfter = names);
    }
}
