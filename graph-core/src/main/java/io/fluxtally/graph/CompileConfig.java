package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.StateSerializer;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Settings of a compiled graph. Immutable.
 *
 * @param maxIterations how many node executions a run may have, those of its branches included; a sub-graph has its own
 * @param maxRounds the rounds of an agent that maxIterations come from, for an error to name; null where they are not
 *     counted in rounds
 * @param recorder where requests are booked, beside the run; those that the wire tap sees go to the tap's own
 * @param agent the agent that the graph is, or null
 * @param maxParallel how many branches of a fan-out run at once; the others begin in their order as these end
 * @param limits how much each run may use, with all that it is made of; those of a run that it is a part of hold beside
 * @param checkpoints where runs are saved, or null; those of a sub-graph are saved with the run that they are a part of
 * @param serializer makes the values of the state into JSON when a run is saved
 * @param interruptBefore nodes before which a run is interrupted each time that it comes to them
 * @param interruptAfter nodes after which a run is interrupted each time that they have run
 */
public record CompileConfig(
        long maxIterations,
        @Nullable Integer maxRounds,
        UsageRecorder recorder,
        @Nullable String agent,
        int maxParallel,
        UsageLimits limits,
        @Nullable CheckpointSaver checkpoints,
        StateSerializer serializer,
        Set<String> interruptBefore,
        Set<String> interruptAfter) {

    /** At most 1,000 node executions, the recorder of this process, no agent, at most 256 branches at once, no limits on usage, not saved, never interrupted. */
    public static final CompileConfig DEFAULT = new CompileConfig(
            1_000,
            null,
            UsageRecorder.shared(),
            null,
            256,
            UsageLimits.NONE,
            null,
            StateSerializer.DEFAULT,
            Set.of(),
            Set.of());

    /**
     * Checks the settings.
     *
     * @throws IllegalArgumentException if maxIterations or maxParallel is less than 1
     */
    public CompileConfig {
        Objects.requireNonNull(recorder, "recorder");
        Objects.requireNonNull(limits, "limits");
        Objects.requireNonNull(serializer, "serializer");
        interruptBefore = Set.copyOf(interruptBefore);
        interruptAfter = Set.copyOf(interruptAfter);
        if (maxIterations < 1) {
            throw new IllegalArgumentException("maxIterations must be 1 or more, but is " + maxIterations);
        }
        if (maxParallel < 1) {
            throw new IllegalArgumentException("maxParallel must be 1 or more, but is " + maxParallel);
        }
    }

    /** The same settings with another limit on node executions. */
    public CompileConfig withMaxIterations(long value) {
        return new CompileConfig(
                value,
                null,
                recorder,
                agent,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /**
     * The same settings with a limit on the rounds of an agent's loop, each of which is two node executions but for the
     * last, which has no tools to run.
     *
     * @throws IllegalArgumentException if it is less than 1
     */
    public CompileConfig withMaxRounds(int value) {
        if (value < 1) {
            throw new IllegalArgumentException("maxRounds must be 1 or more, but is " + value);
        }
        return new CompileConfig(
                value * 2L - 1,
                value,
                recorder,
                agent,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /** The same settings with another recorder. */
    public CompileConfig withRecorder(UsageRecorder value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                value,
                agent,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /** The same settings for an agent of the given name. */
    public CompileConfig withAgent(@Nullable String value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                value,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /** The same settings with another limit on branches at once. */
    public CompileConfig withMaxParallel(int value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                value,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /**
     * The same settings with limits on what a run may use. A node whose model call goes beyond them fails with a
     * {@code UsageLimitExceededException}, before anything is requested. A bare model's stream that a node returns is
     * counted, but refused only where the wire tap sees it; {@link GraphRunnerContext#capture} makes it one that is.
     */
    public CompileConfig withLimits(UsageLimits value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                maxParallel,
                value,
                checkpoints,
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /**
     * The same settings for a graph whose runs are saved as they go: a {@link GraphThread} takes them up again. The values
     * of its state must be such as the {@linkplain #withSerializer serializer} takes.
     */
    public CompileConfig withCheckpoints(CheckpointSaver value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                maxParallel,
                limits,
                Objects.requireNonNull(value, "checkpoints"),
                serializer,
                interruptBefore,
                interruptAfter);
    }

    /** The same settings with another serializer, for a state that has values of the app's own types. */
    public CompileConfig withSerializer(StateSerializer value) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                maxParallel,
                limits,
                checkpoints,
                value,
                interruptBefore,
                interruptAfter);
    }

    /**
     * The same settings with other nodes before which a run is interrupted. It is saved then, and its last output is an
     * {@link InterruptedOutput}. Branches that run beside go on until they are interrupted too, or done.
     */
    public CompileConfig withInterruptBefore(String... nodes) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                Set.of(nodes),
                interruptAfter);
    }

    /** The same settings with other nodes after which a run is interrupted, before it is decided where it goes on. */
    public CompileConfig withInterruptAfter(String... nodes) {
        return new CompileConfig(
                maxIterations,
                maxRounds,
                recorder,
                agent,
                maxParallel,
                limits,
                checkpoints,
                serializer,
                interruptBefore,
                Set.of(nodes));
    }
}
