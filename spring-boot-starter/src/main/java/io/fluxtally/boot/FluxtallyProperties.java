package io.fluxtally.boot;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

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
     * @param maxEventSize Longest event of a stream that is read. A longer one passes unread.
     * @param restClient Whether blocking HTTP clients are tapped. Like any interceptor of Spring's, the tap lets them hold the body
     *     of a request in memory.
     * @param drain Settings of the reading of responses that the app left.
     */
    public record Tap(
            @DefaultValue("4MB") DataSize maxEventSize,
            @DefaultValue("true") boolean restClient,
            @DefaultValue Drain drain) {

        /** Checks the size. */
        public Tap {
            if (maxEventSize.toBytes() < 1024 || maxEventSize.toBytes() > Integer.MAX_VALUE) {
                throw new InvalidSettingException("fluxtally.tap.max-event-size", "be 1KB to 2047MB", maxEventSize);
            }
        }

        /**
         * Settings of the reading of responses that the app left, so that their usage still arrives. The provider goes on
         * generating for it, and bills that.
         *
         * @param enabled Whether they are read on.
         * @param time Longest time that one is read on.
         * @param size Most that is read on of one.
         * @param atOnce Number of responses that are read on at the same time.
         */
        public record Drain(
                @DefaultValue("false") boolean enabled,
                @DefaultValue("30s") Duration time,
                @DefaultValue("1MB") DataSize size,
                @DefaultValue("16") int atOnce) {

            /** Checks the limits. */
            public Drain {
                positive("fluxtally.tap.drain.time", time);
                InvalidSettingException.atLeast("fluxtally.tap.drain.size", 1, size.toBytes());
                InvalidSettingException.atLeast("fluxtally.tap.drain.at-once", 1, atOnce);
            }
        }
    }

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
            @DefaultValue("1000") int maxRequests) {

        /** Checks the bounds. */
        public Runs {
            InvalidSettingException.atLeast("fluxtally.runs.keep", 0, keep);
            InvalidSettingException.atLeast("fluxtally.runs.max-open", 1, maxOpen);
            positive("fluxtally.runs.idle-timeout", idleTimeout);
            InvalidSettingException.atLeast("fluxtally.runs.max-requests", 0, maxRequests);
        }
    }

    private static void positive(String property, Duration value) {
        if (value.isZero() || value.isNegative()) {
            throw new InvalidSettingException(property, "be positive", value);
        }
    }
}
