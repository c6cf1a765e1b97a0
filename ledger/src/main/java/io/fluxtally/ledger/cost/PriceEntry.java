package io.fluxtally.ledger.cost;

import io.fluxtally.usage.TokenPart;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The prices of some models for some time.
 *
 * @param line where it is in its file
 * @param provider the provider's family, or null for any
 * @param model which models
 * @param from since when, or null
 * @param until until just before when, or null
 * @param currency what the prices are in
 * @param absentIsZero the parts that the provider leaves out where they are 0
 * @param tiers by the size of a request, from the smallest
 */
record PriceEntry(
        int line,
        @Nullable String provider,
        ModelPattern model,
        @Nullable Instant from,
        @Nullable Instant until,
        String currency,
        Set<TokenPart> absentIsZero,
        List<PriceTier> tiers) {

    /** The entry that wins comes first. */
    static final Comparator<PriceEntry> BY_RANK = Comparator.<PriceEntry, Boolean>comparing(
                    entry -> !entry.model.isName())
            .thenComparing(entry -> -entry.model.said())
            .thenComparing(entry -> entry.provider == null)
            .thenComparing(
                    entry -> entry.from == null ? Instant.MIN : entry.from,
                    Comparator.<Instant>naturalOrder().reversed());

    boolean covers(@Nullable String family, String name, Instant time) {
        return (provider == null || provider.equals(family))
                && (from == null || !time.isBefore(from))
                && (until == null || time.isBefore(until))
                && model.matches(name);
    }

    /** Whether there may be a request for which nothing tells which of the two wins. */
    boolean rivals(PriceEntry other) {
        boolean sameProvider = provider == null ? other.provider == null : provider.equals(other.provider);
        return BY_RANK.compare(this, other) == 0
                && sameProvider
                && isBefore(from, other.until)
                && isBefore(other.from, until)
                && model.meets(other.model);
    }

    private static boolean isBefore(@Nullable Instant start, @Nullable Instant end) {
        return start == null || end == null || start.isBefore(end);
    }

    @Override
    public String toString() {
        return "line %d (%s)".formatted(line, model.text());
    }
}
