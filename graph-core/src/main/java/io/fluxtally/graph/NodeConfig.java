package io.fluxtally.graph;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import reactor.core.scheduler.Scheduler;
import reactor.util.retry.Retry;

/**
 * Settings of a node. Immutable.
 *
 * <p>An attempt that fails leaves nothing in the state; what it used stays counted, and is a part of the node's own usage.
 * Its outputs have been seen by then, so those of a later attempt {@linkplain NodeOutput#attempt() say so}.
 *
 * @param scheduler where the node runs, or null for wherever the run comes from
 * @param timeout how long an attempt may take, or null for any time
 * @param retry when an attempt that failed is made again, or null for never
 * @param fallbacks what runs instead once the node has failed for good, and then each once those before it have
 */
public record NodeConfig(
        @Nullable Scheduler scheduler,
        @Nullable Duration timeout,
        @Nullable Retry retry,
        List<NodeAction> fallbacks) {

    /** One attempt, which may take any time, wherever the run comes from. */
    public static final NodeConfig DEFAULT = new NodeConfig(null, null, null, List.of());

    /**
     * Checks the settings.
     *
     * @throws IllegalArgumentException if the timeout is not positive
     */
    public NodeConfig {
        fallbacks = List.copyOf(fallbacks);
        if (timeout != null && (timeout.isNegative() || timeout.isZero())) {
            throw new IllegalArgumentException("timeout must be positive, but is " + timeout);
        }
    }

    /**
     * The same settings with a scheduler of the node's own: its action is called there, and what it returns is subscribed
     * to and runs there, blocking work too. What follows goes on wherever its outputs come from.
     */
    public NodeConfig withScheduler(@Nullable Scheduler value) {
        return new NodeConfig(value, timeout, retry, fallbacks);
    }

    /**
     * The same settings with a limit on the time of each attempt, from its beginning to its end; the time in which nobody
     * asks for its outputs counts too. An attempt that takes longer is cancelled at once and fails with a
     * {@link java.util.concurrent.TimeoutException}. An action that blocks the thread it is called on can be given up,
     * but stopped only on a {@linkplain #withScheduler scheduler}.
     */
    public NodeConfig withTimeout(@Nullable Duration value) {
        return new NodeConfig(scheduler, value, retry, fallbacks);
    }

    /**
     * The same settings with another attempt after one that failed, when the given spec says so and as often:
     * {@code Retry.backoff(3, Duration.ofSeconds(1))}. All attempts are one execution of the node, in one round; a later
     * one begins when its outputs are asked for, on the thread of the spec's back-off unless the node has a scheduler.
     *
     * <p>A refusal by a limit on usage or on node executions is not retried, nor a run that could not be saved, whatever the
     * spec says: trying again cannot change it.
     */
    public NodeConfig withRetry(@Nullable Retry value) {
        return new NodeConfig(scheduler, timeout, value, fallbacks);
    }

    /**
     * The same settings with one more action that runs instead of the node, once that and the fallbacks so far have
     * failed. It has the node's scheduler and timeout and is retried like it; it runs after any failure, a refusal by a
     * limit too, but not when the run could not be saved.
     */
    public NodeConfig withFallback(NodeAction value) {
        List<NodeAction> all = new ArrayList<>(fallbacks);
        all.add(Objects.requireNonNull(value, "fallback"));
        return new NodeConfig(scheduler, timeout, retry, all);
    }
}
