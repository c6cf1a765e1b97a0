package io.fluxtally.graph;

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
 */
public record CompileConfig(
        long maxIterations,
        UsageRecorder recorder,
        @Nullable String agent,
        int maxParallel) {

    /** At most 1,000 node executions, the recorder of this process, no agent, at most 256 branches at once. */
    public static final CompileConfig DEFAULT = new CompileConfig(1_000, UsageRecorder.shared(), null, 256);

    /**
     * Checks the settings.
     *
     * @throws IllegalArgumentException if maxIterations or maxParallel is less than 1
     */
    public CompileConfig {
        Objects.requireNonNull(recorder, "recorder");
        if (maxIterations < 1) {
            throw new IllegalArgumentException("maxIterations must be 1 or more, but is " + maxIterations);
        }
        if (maxParallel < 1) {
            throw new IllegalArgumentException("maxParallel must be 1 or more, but is " + maxParallel);
        }
    }

    /** The same settings with another limit on node executions. */
    public CompileConfig withMaxIterations(long value) {
        return new CompileConfig(value, recorder, agent, maxParallel);
    }

    /** The same settings with another recorder. */
    public CompileConfig withRecorder(UsageRecorder value) {
        return new CompileConfig(maxIterations, value, agent, maxParallel);
    }

    /** The same settings for an agent of the given name. */
    public CompileConfig withAgent(@Nullable String value) {
        return new CompileConfig(maxIterations, recorder, value, maxParallel);
    }

    /** The same settings with another limit on branches at once. */
    public CompileConfig withMaxParallel(int value) {
        return new CompileConfig(maxIterations, recorder, agent, value);
    }
}
