package io.fluxtally.ledger.intercept;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * What a backfill did, and what it left as it was. Fields bear the names that they have in JSON, such as
 * {@code cache_read_input_tokens}.
 *
 * <p>Immutable.
 *
 * @param requests how many requests it saw
 * @param matched how many of them are in the log
 * @param filled what was absent and was filled in
 * @param differing what the log has otherwise than the request; the request's was kept
 * @param notLogged the ids ({@code requestId}) of requests of which the log has nothing
 * @param notBooked the records of which there was no request
 * @param sums the fields in which all requests, as filled, and all records of the log do not come to the same
 */
public record BackfillReport(
        long requests,
        long matched,
        List<Filled> filled,
        List<Difference> differing,
        List<String> notLogged,
        List<InterceptRecord> notBooked,
        List<SumDifference> sums) {

    /** Copies the lists. */
    public BackfillReport {
        filled = List.copyOf(filled);
        differing = List.copyOf(differing);
        notLogged = List.copyOf(notLogged);
        notBooked = List.copyOf(notBooked);
        sums = List.copyOf(sums);
    }

    /** Whether the log and the requests are about the same responses and agree in every field, so that their sums do too. */
    public boolean agrees() {
        return differing.isEmpty() && notLogged.isEmpty() && notBooked.isEmpty() && sums.isEmpty();
    }

    /**
     * A figure that was filled in.
     *
     * @param requestId the request
     * @param responseId the provider's id of its response
     * @param field the field
     * @param tokens the figure
     */
    public record Filled(String requestId, String responseId, String field, long tokens) {}

    /**
     * A figure that the log and the request do not have alike.
     *
     * @param requestId the request
     * @param responseId the provider's id of its response
     * @param field the field
     * @param booked the request's, which stays, or null if it has none and the log's cannot be its
     * @param logged the log's
     */
    public record Difference(
            String requestId,
            String responseId,
            String field,
            @Nullable Long booked,
            long logged) {}

    /**
     * A field in which two sums are not alike. A sum without any figure is null.
     *
     * @param field the field
     * @param booked the sum over the requests
     * @param logged the other sum
     */
    public record SumDifference(
            String field, @Nullable Long booked, @Nullable Long logged) {

        /**
         * The fields in which a sum that somebody else made, such as an agent's own, is not that of the requests.
         *
         * @param booked the sum of the requests
         * @param other the other sum
         */
        public static List<SumDifference> between(TokenUsage booked, TokenUsage other) {
            List<SumDifference> differences = new ArrayList<>();
            add(differences, Backfill.INPUT, booked.inputTokens(), other.inputTokens());
            add(differences, Backfill.OUTPUT, booked.outputTokens(), other.outputTokens());
            add(differences, Backfill.TOTAL, booked.totalTokens(), other.totalTokens());
            for (TokenPart part : TokenPart.values()) {
                add(differences, part.key(), boxed(booked.part(part)), boxed(other.part(part)));
            }
            return differences;
        }

        static void add(List<SumDifference> differences, String field, @Nullable Long booked, @Nullable Long other) {
            if (booked == null ? other != null : !booked.equals(other)) {
                differences.add(new SumDifference(field, booked, other));
            }
        }

        private static @Nullable Long boxed(OptionalLong tokens) {
            return tokens.isPresent() ? tokens.getAsLong() : null;
        }
    }
}
