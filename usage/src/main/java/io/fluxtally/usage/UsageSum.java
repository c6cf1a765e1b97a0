package io.fluxtally.usage;

import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The sum over some requests: their tokens, how many they were, and how far the sum can be trusted.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class UsageSum {

    /** The sum over no request: complete, and zero. */
    public static final UsageSum EMPTY = new UsageSum(TokenUsage.ZERO, 0, 0, 0, null);

    private final TokenUsage total;
    private final long requests;
    private final long unreported;
    private final long missing;

    /** By the ordinal of {@link TokenPart}: how many requests reported it. Null when none reported any. */
    private final long @Nullable [] reporters;

    private UsageSum(TokenUsage total, long requests, long unreported, long missing, long @Nullable [] reporters) {
        this.total = total;
        this.requests = requests;
        this.unreported = unreported;
        this.missing = missing;
        this.reporters = reporters;
    }

    /**
     * A sum that was made elsewhere, such as in a database.
     *
     * @param total the tokens of all the requests
     * @param requests how many they are
     * @param unreported how many of them are not {@link UsageSource#REPORTED}
     * @param missing how many of them are {@link UsageSource#MISSING}
     * @param reportedBy how many of them reported a part; a part that is not there was reported by none
     * @throws IllegalArgumentException if these cannot be figures of one sum
     */
    public static UsageSum of(
            TokenUsage total, long requests, long unreported, long missing, Map<TokenPart, Long> reportedBy) {
        if (missing < 0 || missing > unreported || unreported > requests) {
            throw new IllegalArgumentException("missing (%d) are among unreported (%d), and these among requests (%d)"
                    .formatted(missing, unreported, requests));
        }
        long[] counts = null;
        for (TokenPart part : TokenPart.values()) {
            long count = reportedBy.getOrDefault(part, 0L);
            if (count < 0 || count > requests - missing || (count > 0) != total.hasPart(part.ordinal())) {
                throw new IllegalArgumentException(
                        "%s must be reported by some of the %d requests with a figure exactly if it is in the total, but is by %d"
                                .formatted(part.property(), requests - missing, count));
            }
            if (count > 0) {
                counts = counts == null ? new long[TokenPart.COUNT] : counts;
                counts[part.ordinal()] = count;
            }
        }
        return new UsageSum(total, requests, unreported, missing, counts);
    }

    /** The tokens of all these requests: exact if {@link #isComplete()}, else a lower bound or an estimate. */
    public TokenUsage total() {
        return total;
    }

    /** How many requests these are. */
    public long requests() {
        return requests;
    }

    /** How many of the requests have no final figure of the provider, that is, are not {@link UsageSource#REPORTED}. */
    public long unreported() {
        return unreported;
    }

    /** How many of the requests have no figure at all, that is, are {@link UsageSource#MISSING}. */
    public long missing() {
        return missing;
    }

    /** Whether there are requests and none of them has a figure, so that {@link #total()} says nothing. */
    public boolean isUnknown() {
        return requests > 0 && missing == requests;
    }

    /** Whether every request has the provider's final figure. */
    public boolean isComplete() {
        return unreported == 0;
    }

    /**
     * How many requests reported a part. If they are fewer than {@link #requests()}, the part in {@link #total()} is a
     * lower bound.
     */
    public long reportedBy(TokenPart part) {
        return reporters == null ? 0 : reporters[part.ordinal()];
    }

    /** This sum with one more request. */
    public UsageSum plus(RequestUsage request) {
        TokenUsage usage = request.usage();
        return new UsageSum(
                usage == null ? total : total.plus(usage),
                requests + 1,
                request.source() == UsageSource.REPORTED ? unreported : unreported + 1,
                usage == null ? missing + 1 : missing,
                usage != null && usage.hasParts() ? countParts(usage) : reporters);
    }

    private long[] countParts(TokenUsage usage) {
        long[] counts = reporters == null ? new long[TokenPart.COUNT] : reporters.clone();
        for (int i = 0; i < counts.length; i++) {
            if (usage.hasPart(i)) {
                counts[i]++;
            }
        }
        return counts;
    }

    /** The sum over the requests of both, of which no request may be in the other. */
    public UsageSum plus(UsageSum other) {
        return new UsageSum(
                total.plus(other.total),
                requests + other.requests,
                unreported + other.unreported,
                missing + other.missing,
                addCounts(reporters, other.reporters));
    }

    private static long @Nullable [] addCounts(long @Nullable [] left, long @Nullable [] right) {
        if (left == null) {
            return right;
        }
        if (right == null) {
            return left;
        }
        long[] counts = left.clone();
        for (int i = 0; i < counts.length; i++) {
            counts[i] += right[i];
        }
        return counts;
    }

    @Override
    public boolean equals(@Nullable Object o) {
        return o instanceof UsageSum other
                && requests == other.requests
                && unreported == other.unreported
                && missing == other.missing
                && total.equals(other.total)
                && Arrays.equals(reporters, other.reporters);
    }

    @Override
    public int hashCode() {
        return total.hashCode() * 31 + Long.hashCode(requests);
    }

    @Override
    public String toString() {
        return "UsageSum[total=%s, requests=%d, unreported=%d]".formatted(total, requests, unreported);
    }
}
