package io.fluxtally.usage;

import org.jspecify.annotations.Nullable;

/**
 * A model call or a request of one was refused, because its run would have used more than it may. Nothing was sent for
 * it, and nothing is booked.
 */
public final class UsageLimitExceededException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String runId;
    private final UsageLimit limit;
    private final long max;
    private final long used;
    private final long asked;
    private final transient @Nullable RunUsage usage;

    /** The error in place of the event. */
    public UsageLimitExceededException(UsageLimitReached reached) {
        super("run \"%s\": the limit is %d %s, %d are used, and %s more is asked for"
                .formatted(
                        reached.runId(),
                        reached.max(),
                        reached.limit().label(),
                        reached.used(),
                        reached.limit() == UsageLimit.REQUESTS ? reached.asked() : "at least " + reached.asked()));
        this.runId = reached.runId();
        this.limit = reached.limit();
        this.max = reached.max();
        this.used = reached.used();
        this.asked = reached.asked();
        this.usage = reached.usage();
    }

    /** The run's id. */
    public String runId() {
        return runId;
    }

    /** What is limited. */
    public UsageLimit limit() {
        return limit;
    }

    /** The most that is allowed. */
    public long max() {
        return max;
    }

    /** What was used, and of requests also what others in flight hold. */
    public long used() {
        return used;
    }

    /** How much more was asked for: one request, or of tokens one at least. */
    public long asked() {
        return asked;
    }

    /** What the run, or the part of it that is limited, had used then; after Java serialization nothing. */
    public RunUsage usage() {
        return usage == null ? RunUsage.EMPTY : usage;
    }
}
