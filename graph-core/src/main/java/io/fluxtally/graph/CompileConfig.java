package io.fluxtally.graph;

import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Settings of a compiled graph. Immutable.
 *
 * @param maxIterations how many node executions a run may have, those of its branches included; a sub-graph has its own
 * @param recorder where requests are booked, beside the run; those that the wire tap sees go to the tap's own
 * @param agent the agent that the graph is, or null
 * @param maxParallel how many branches of a fan-out run at once; the others begin in their order as these end
 * @param limits how much each run may use, with all that it is made of; those of a run that it is a part of hold beside
 */
public record CompileConfig(
        long maxIterations,
        UsageRecorder recorder,
        @Nullable String agent,
        int maxParallel,
        UsageLimits limits) {

    /** At most 1,000 node executions, the recorder of this process, no agent, at most 256 branches at once, no limits on usage. */
    public static final CompileConfig DEFAULT =
            new CompileConfig(1_000, UsageRecorder.shared(), null, 256, UsageLimits.NONE);

    /**
     * Checks the settings.
     *
     * @throws IllegalArgumentException if maxIterations or maxParallel is less than 1
     */
    public CompileConfig {
        Objects.requireNonNull(recorder, "recorder");
        Objects.requireNonNull(limits, "limits");
        if (maxIterations < 1) {
            throw new IllegalArgumentException("maxIterations must be 1 or more, but is " + maxIterations);
        }
        if (maxParallel < 1) {
            throw new IllegalArgumentException("maxParallel must be 1 or more, but is " + maxParallel);
        }
    }

    /** The same settings with another limit on node executions. */
    public CompileConfig withMaxIterations(long value) {
        return new CompileConfig(value, recorder, agent, maxParallel, limits);
    }

    /** The same settings with another recorder. */
    public CompileConfig withRecorder(UsageRecorder value) {
        return new CompileConfig(maxIterations, value, agent, maxParallel, limits);
    }

    /** The same settings for an agent of the given name. */
    public CompileConfig withAgent(@Nullable String value) {
        return new CompileConfig(maxIterations, recorder, value, maxParallel, limits);
    }

    /** The same settings with another limit on branches at once. */
    public CompileConfig withMaxParallel(int value) {
        return new CompileConfig(maxIterations, recorder, agent, value, limits);
    }

    /**
     * The same settings with limits on what a run may use. A node whose model call goes beyond them fails with a
     * {@code UsageLimitExceededException}, before anything is requested. A bare model's stream that a node returns is
     * counted, but refused only where the wire tap sees it; {@link GraphRunnerContext#capture} makes it one that is.
     */
    public CompileConfig withLimits(UsageLimits value) {
        return new CompileConfig(maxIterations, recorder, agent, maxParallel, value);
    }
}
