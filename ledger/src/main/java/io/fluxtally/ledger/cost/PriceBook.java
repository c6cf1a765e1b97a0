package io.fluxtally.ledger.cost;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The prices that an app pays, by which it learns what its requests cost: {@code PriceBook.read(file).costOf(run)}. No price
 * comes with Fluxtally: the book is the app's own, and {@code docs/prices.md} says how to write one.
 *
 * <p>Each request is priced by itself, and only then are costs added: a tier goes by the input of one request, never of
 * several. A price that is not in the book is unknown, not 0. Nothing is rounded.
 *
 * <p>Of the entries that cover a request the one wins that names its model, then the pattern that says more characters of it,
 * then the one that names the provider, then the one that is valid since later. A book in which two entries could tie is not
 * read.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class PriceBook {

    /** The label of a request that has the prices of batch requests, if its value is {@code true}. */
    public static final String BATCH = "batch";

    /** In the order in which they win. */
    private final List<PriceEntry> entries;

    PriceBook(List<PriceEntry> entries) {
        this.entries = entries.stream().sorted(PriceEntry.BY_RANK).toList();
    }

    /**
     * Reads a price book, a YAML file in UTF-8.
     *
     * @throws PriceBookException when the file cannot be read or is not a price book
     */
    public static PriceBook read(Path file) {
        return PriceBookReader.read(file);
    }

    /**
     * Reads a price book from YAML.
     *
     * @param file the name that a complaint gives it
     * @throws PriceBookException when it is not a price book
     */
    public static PriceBook read(String file, String yaml) {
        return PriceBookReader.read(file, yaml);
    }

    /**
     * What a request costs: its input, cached and other, its output, and its reasoning, each at the price that held when it
     * was sent.
     */
    public RequestCost costOf(RequestUsage request) {
        TokenUsage usage = request.usage();
        if (usage == null) {
            return RequestCost.NO_FIGURE;
        }
        if (request.source() == UsageSource.REPORTED && usage.totalTokens() == 0 && isNothing(usage)) {
            return RequestCost.NOTHING;
        }
        PriceEntry entry = entryFor(request);
        return entry == null ? RequestCost.NO_PRICE : costOf(request, usage, entry);
    }

    private static boolean isNothing(TokenUsage usage) {
        return usage.inputTokens() == 0 && usage.outputTokens() == 0;
    }

    private @Nullable PriceEntry entryFor(RequestUsage request) {
        String model = request.model();
        if (model == null) {
            return null;
        }
        for (PriceEntry entry : entries) {
            if (entry.covers(request.provider(), model, request.start())) {
                return entry;
            }
        }
        return null;
    }

    private static RequestCost costOf(RequestUsage request, TokenUsage usage, PriceEntry entry) {
        boolean batch = Boolean.parseBoolean(request.labels().get(BATCH));
        boolean partial = request.source() == UsageSource.PARTIAL;
        Prices.Range range = null;
        for (PriceTier tier : entry.tiers()) {
            if (usage.inputTokens() > tier.upToInput() || (range != null && !partial)) {
                continue;
            }
            Prices prices = tier.prices(batch);
            if (prices == null) {
                return RequestCost.NO_PRICE;
            }
            Prices.Range inTier = prices.costOf(usage, entry.absentIsZero());
            if (inTier == null) {
                return RequestCost.NO_FIGURE;
            }
            // A request of which more was billed than is known may be of a higher tier.
            range = range == null ? inTier : new Prices.Range(range.least().min(inTier.least()), range.most());
        }
        return range == null ? RequestCost.NO_PRICE : graded(request, usage, entry.currency(), range);
    }

    private static RequestCost graded(RequestUsage request, TokenUsage usage, String currency, Prices.Range range) {
        BigDecimal least = range.least();
        BigDecimal most = range.most();
        if (request.source() == UsageSource.ESTIMATED) {
            return new RequestCost(CostGrade.ESTIMATED, currency, least, most);
        }
        boolean unpricedTokens = usage.totalTokens() - usage.inputTokens() > usage.outputTokens();
        if (request.source() == UsageSource.PARTIAL || unpricedTokens) {
            return new RequestCost(CostGrade.AT_LEAST, currency, least, null);
        }
        CostGrade grade = least.compareTo(most) == 0 ? CostGrade.EXACT : CostGrade.BOUNDED;
        return new RequestCost(grade, currency, least, most);
    }

    /** What the requests of a run cost together. */
    public CostSum costOf(RunUsage run) {
        return costOf(run.requests());
    }

    /** What some requests cost together. */
    public CostSum costOf(Iterable<RequestUsage> requests) {
        CostSum sum = CostSum.EMPTY;
        for (RequestUsage request : requests) {
            sum = sum.plus(costOf(request));
        }
        return sum;
    }
}
