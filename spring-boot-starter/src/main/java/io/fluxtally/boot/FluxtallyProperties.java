package io.fluxtally.boot;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of Fluxtally.
 *
 * @param enabled Whether requests to model providers are measured at all.
 * @param contextPropagation How a run follows the work to other threads of Reactor.
 * @param tap Settings of the wire tap.
 * @param runs Settings of the runs that are remembered.
 */
@ConfigurationProperties("fluxtally")
public record FluxtallyProperties(
        @DefaultValue("true") boolean enabled,
        @DefaultValue("limited") ContextPropagation contextPropagation,
        @DefaultValue Tap tap,
        @DefaultValue Runs runs) {

    /** How a run follows the work to other threads of Reactor. */
    public enum ContextPropagation {
        /** By the Reactor context alone. */
        LIMITED,
        /** By thread locals too, which Reactor restores on every thread: a setting of the whole process. */
        AUTO
    }

    /**
     * Settings of the wire tap.
     *
     * @param maxEventBytes Longest event of a stream that is read, in bytes. A longer one passes unread.
     */
    public record Tap(@DefaultValue("4194304") int maxEventBytes) {}

    /**
     * Settings of the runs that are remembered.
     *
     * @param keep Number of ended runs that are remembered.
     * @param maxOpen Number of runs that may be open. Beyond it, the run that was quiet for longest is evicted.
     * @param idleTimeout Time without any request after which an open run is evicted.
     * @param maxRequests Number of requests that are remembered of each run. Sums have all of them.
     */
    public record Runs(
            @DefaultValue("100") int keep,
            @DefaultValue("10000") int maxOpen,
            @DefaultValue("1h") Duration idleTimeout,
            @DefaultValue("1000") int maxRequests) {}
}
