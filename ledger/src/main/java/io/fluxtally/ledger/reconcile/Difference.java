package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.UsageSource;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One thing in which bill and ledger differ: a response by its id, or a model in a bucket of time.
 *
 * @param responseId the provider's id of the response, or null for what was matched by model and time
 * @param model the model, or null if it is not known, or not what was matched by
 * @param bucket when the bucket begins, or null for what was matched by id, and for a bill without times
 * @param billed what was billed, or null if nothing was
 * @param booked what was booked, or null if nothing was
 * @param fields the figures that differ; empty where one side is lacking
 * @param because what explains the difference, as far as the ledger itself says
 */
public record Difference(
        @Nullable String responseId,
        @Nullable String model,
        @Nullable Instant bucket,
        @Nullable Billed billed,
        @Nullable Booked booked,
        List<BillField> fields,
        Because because) {

    /** What explains a difference. */
    public enum Because {
        /** Nothing does: bill and ledger contradict each other. */
        UNEXPLAINED("unexplained"),
        /** More was billed than booked, and the ledger says that it has no final figure of all requests. */
        BOOKED_IS_A_LOWER_BOUND("the booked figure is a lower bound"),
        /** The ledger says that it estimated. */
        BOOKED_IS_AN_ESTIMATE("the booked figure is an estimate");

        private final String words;

        Because(String words) {
            this.words = words;
        }

        /** The same in words. */
        public String words() {
            return words;
        }
    }

    /**
     * What was billed.
     *
     * @param file the bill that the first of the lines is in
     * @param line the first of the lines, from 1
     * @param lines how many lines it were
     * @param figures what they state together
     */
    public record Billed(Path file, long line, long lines, Figures figures) {}

    /**
     * What was booked.
     *
     * @param requestId the key of the first request
     * @param requests how many requests it were
     * @param figures their sum
     * @param sources how many requests have which source, without those that none has
     */
    public record Booked(String requestId, long requests, Figures figures, Map<UsageSource, Long> sources) {}
}
