package io.fluxtally.usage;

import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * How much a run may use: {@code UsageLimits.NONE.withRequests(20).withTotalTokens(100_000)}.
 *
 * <p>They are checked before each model call, over all branches of the run together. A request that is let through holds a
 * place, so that the number of requests is never exceeded, however many branches ask at once. Nothing is known of a
 * call's tokens before its response, so a call is let through as long as one token is left, and the tokens may come to more
 * than the limit by what is in flight then: one response for each branch. Tokens that no provider reported are not counted.
 *
 * <p>Where the wire tap of a {@code WebClient} or {@code RestClient} sees the requests, each of them is checked before it is
 * sent, retries and the rounds of a tool loop inside a model among them. Without it, and with Bedrock's, the requests
 * inside a call are counted but not refused, and may go beyond.
 *
 * <p>Immutable.
 *
 * @param requests how many HTTP requests to providers, or null for any number
 * @param inputTokens how many tokens asked, or null for any number
 * @param outputTokens how many tokens answered, or null for any number
 * @param totalTokens how many tokens asked and answered, or null for any number
 * @param listener told when a limit is reached, instead of an error, or null for the error
 */
public record UsageLimits(
        @Nullable Long requests,
        @Nullable Long inputTokens,
        @Nullable Long outputTokens,
        @Nullable Long totalTokens,
        @Nullable Consumer<? super UsageLimitReached> listener) {

    /** No limit. */
    public static final UsageLimits NONE = new UsageLimits(null, null, null, null, null);

    /**
     * Checks the limits.
     *
     * @throws IllegalArgumentException if one is less than 1
     */
    public UsageLimits {
        check("requests", requests);
        check("inputTokens", inputTokens);
        check("outputTokens", outputTokens);
        check("totalTokens", totalTokens);
    }

    private static void check(String name, @Nullable Long limit) {
        if (limit != null && limit < 1) {
            throw new IllegalArgumentException("%s must be 1 or more, but is %d".formatted(name, limit));
        }
    }

    /** The same with a limit on HTTP requests. */
    public UsageLimits withRequests(long value) {
        return new UsageLimits(value, inputTokens, outputTokens, totalTokens, listener);
    }

    /** The same with a limit on tokens asked. */
    public UsageLimits withInputTokens(long value) {
        return new UsageLimits(requests, value, outputTokens, totalTokens, listener);
    }

    /** The same with a limit on tokens answered. */
    public UsageLimits withOutputTokens(long value) {
        return new UsageLimits(requests, inputTokens, value, totalTokens, listener);
    }

    /** The same with a limit on tokens asked and answered. */
    public UsageLimits withTotalTokens(long value) {
        return new UsageLimits(requests, inputTokens, outputTokens, value, listener);
    }

    /**
     * The same, but the run goes on when a limit is reached, and the listener is told: once for each limit of a run, by
     * the thread that is about to make the call, so it must not block. What it throws is logged and counted, and reaches
     * nobody. It must be safe for use by any number of threads.
     */
    public UsageLimits notifying(Consumer<? super UsageLimitReached> value) {
        return new UsageLimits(
                requests, inputTokens, outputTokens, totalTokens, Objects.requireNonNull(value, "listener"));
    }

    /** The most that is allowed of something, or null if it is not limited. */
    public @Nullable Long of(UsageLimit limit) {
        return switch (limit) {
            case REQUESTS -> requests;
            case INPUT_TOKENS -> inputTokens;
            case OUTPUT_TOKENS -> outputTokens;
            case TOTAL_TOKENS -> totalTokens;
        };
    }
}
