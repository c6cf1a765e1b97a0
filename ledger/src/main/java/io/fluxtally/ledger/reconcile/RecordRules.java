package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What holds for a record by itself, beyond what makes it one: a record whose part exceeds its total, whose source does not
 * fit its usage, or whose ordinals are not positive cannot be read at all.
 */
final class RecordRules {

    /** What labels may be: see {@code RunScope.withLabel}. */
    private static final int MAX_LABELS = 16;

    private static final int MAX_LABEL_NAME = 64;
    private static final int MAX_LABEL_VALUE = 256;

    /** What a request may have been reported: see {@link RequestUsage#reported()}. */
    private static final int MAX_REPORTED = 64;

    /** Clocks of machines differ, but not by more. */
    private static final Duration CLOCKS = Duration.ofDays(1);

    private RecordRules() {}

    /** Hands over each rule that a record breaks, with the value that does, but no text. */
    static void check(RequestUsage request, Instant now, BiConsumer<String, String> broken) {
        TokenUsage usage = request.usage();
        if (usage != null) {
            long least = usage.inputTokens() + usage.outputTokens();
            if (least < 0 || usage.totalTokens() < least) {
                broken.accept(
                        "total_tokens must be at least input_tokens and output_tokens together",
                        "is %d of %d and %d".formatted(usage.totalTokens(), usage.inputTokens(), usage.outputTokens()));
            }
        }
        checkLabels(request.labels(), broken);
        if (request.reported().size() > MAX_REPORTED) {
            broken.accept(
                    "reported must have at most %d figures".formatted(MAX_REPORTED),
                    "has " + request.reported().size());
        }
        checkTimes(request, now, broken);
    }

    private static void checkLabels(Map<String, String> labels, BiConsumer<String, String> broken) {
        if (labels.size() > MAX_LABELS) {
            broken.accept("labels must be at most " + MAX_LABELS, "are " + labels.size());
        }
        labels.forEach((name, value) -> {
            checkLength("the name of a label", name, MAX_LABEL_NAME, broken);
            checkLength("the value of a label", value, MAX_LABEL_VALUE, broken);
        });
    }

    private static void checkLength(String what, String text, int max, BiConsumer<String, String> broken) {
        if (text.isEmpty() || text.length() > max) {
            broken.accept("%s must have 1 to %d characters".formatted(what, max), "has " + text.length());
        }
    }

    private static void checkTimes(RequestUsage request, Instant now, BiConsumer<String, String> broken) {
        Duration first = request.timeToFirstChunk();
        checkNotNegative("duration_nanos", request.duration(), broken);
        checkNotNegative("time_to_first_chunk_nanos", first, broken);
        if (first != null && first.compareTo(request.duration()) > 0) {
            broken.accept(
                    "time_to_first_chunk_nanos must not exceed duration_nanos",
                    "is %d of %d".formatted(first.toNanos(), request.duration().toNanos()));
        }
        if (request.start().isAfter(now.plus(CLOCKS))) {
            broken.accept("start must not lie in the future", "is " + request.start());
        }
    }

    private static void checkNotNegative(String name, @Nullable Duration duration, BiConsumer<String, String> broken) {
        if (duration != null && duration.isNegative()) {
            broken.accept(name + " must not be negative", "is " + duration.toNanos());
        }
    }
}
