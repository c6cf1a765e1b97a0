package io.fluxtally.ledger.cost;

import io.fluxtally.usage.TokenPart;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.composer.Composer;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.parser.ParserImpl;
import org.yaml.snakeyaml.reader.StreamReader;
import org.yaml.snakeyaml.resolver.Resolver;

/**
 * The reader of price books. It goes through the nodes of the YAML and builds no object that a file names. Stateless.
 */
final class PriceBookReader {

    static final int LONGEST_FILE = 1 << 20;

    private static final int MOST_ENTRIES = 2_000;

    private static final int MOST_TIERS = 32;

    private static final List<String> BATCH_KEYS =
            List.of("input", "cache_read", "cache_creation", "output", "reasoning", "output_when_reasoning");

    private static final List<String> PRICE_KEYS = with(BATCH_KEYS, "batch");

    private static final List<String> TIER_KEYS = with(PRICE_KEYS, "up_to_input");

    private static final List<String> ENTRY_KEYS = with(
            PRICE_KEYS,
            "provider",
            "model",
            "currency",
            "per",
            "from",
            "until",
            "zone",
            "absent_is_zero",
            "source",
            "tiers");

    private static final Pattern MODEL = Pattern.compile("[!-~]{1,100}");

    private static final Pattern CURRENCY = Pattern.compile("[A-Z]{3}");

    /** So short that no calculation with it is of any size. */
    private static final Pattern PRICE = Pattern.compile("[0-9]{1,9}(\\.[0-9]{1,12})?");

    private PriceBookReader() {}

    private static List<String> with(List<String> keys, String... more) {
        return Stream.concat(keys.stream(), Stream.of(more)).toList();
    }

    static PriceBook read(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(LONGEST_FILE + 1);
        } catch (IOException failed) {
            throw new PriceBookException(
                    file.toString(),
                    0,
                    "a price book",
                    "must be a readable file, but reading failed: " + failed,
                    failed);
        }
        if (bytes.length > LONGEST_FILE) {
            throw tooLong(file.toString());
        }
        try {
            return read(
                    file.toString(),
                    StandardCharsets.UTF_8
                            .newDecoder()
                            .decode(ByteBuffer.wrap(bytes))
                            .toString());
        } catch (CharacterCodingException wrong) {
            throw new PriceBookException(file.toString(), 0, "a price book", "must be in UTF-8, but is not", wrong);
        }
    }

    static PriceBook read(String file, String yaml) {
        if (yaml.length() > LONGEST_FILE) {
            throw tooLong(file);
        }
        PriceField root = new PriceField(file, "", compose(file, yaml));
        PriceField prices = root.required(root.entries(List.of("prices")), "prices");
        List<PriceEntry> entries = new ArrayList<>();
        for (PriceField item : prices.items(MOST_ENTRIES)) {
            PriceEntry entry = entry(item);
            for (PriceEntry other : entries) {
                if (entry.rivals(other)) {
                    throw item.complaint(
                            "must differ in rank from every entry for the same requests, but is as good for some as that of "
                                    + other);
                }
            }
            entries.add(entry);
        }
        return new PriceBook(entries);
    }

    private static PriceBookException tooLong(String file) {
        return new PriceBookException(
                file, 0, "a price book", "must have at most " + LONGEST_FILE + " bytes, but has more", null);
    }

    private static Node compose(String file, String yaml) {
        LoaderOptions options = new LoaderOptions();
        options.setCodePointLimit(LONGEST_FILE);
        options.setNestingDepthLimit(16);
        options.setMaxAliasesForCollections(50);
        try {
            Node root = new Composer(
                            new ParserImpl(new StreamReader(new StringReader(yaml)), options), new Resolver(), options)
                    .getSingleNode();
            if (root == null) {
                throw new PriceBookException(file, 1, "a price book", "must be a mapping, but the file is empty", null);
            }
            return root;
        } catch (MarkedYAMLException wrong) {
            Mark mark = wrong.getProblemMark() != null ? wrong.getProblemMark() : wrong.getContextMark();
            throw new PriceBookException(
                    file,
                    mark == null ? 0 : mark.getLine() + 1,
                    "a price book",
                    "must be valid YAML, but: " + wrong.getProblem(),
                    wrong);
        } catch (YAMLException wrong) {
            throw new PriceBookException(
                    file, 0, "a price book", "must be valid YAML, but: " + firstLine(wrong.getMessage()), wrong);
        }
    }

    private static String firstLine(@Nullable String text) {
        return text == null ? "it cannot be parsed" : text.lines().findFirst().orElse("");
    }

    private static PriceEntry entry(PriceField field) {
        Map<String, PriceField> keys = field.entries(ENTRY_KEYS);
        PriceField provider = keys.get("provider");
        PriceField zone = keys.get("zone");
        PriceField source = keys.get("source");
        if (source != null) {
            source.text();
        }
        ZoneId at = zone == null ? ZoneOffset.UTC : zone(zone);
        Instant from = date(keys.get("from"), at);
        Instant until = date(keys.get("until"), at);
        if (from != null && until != null && !from.isBefore(until)) {
            throw field.required(keys, "until").complaint("must be later than from, but is not");
        }
        int digits = digitsOfUnit(field.required(keys, "per"));
        return new PriceEntry(
                field.line(),
                provider == null ? null : provider.matching(MODEL, "must be 1 to 100 characters without a space"),
                new ModelPattern(field.required(keys, "model")
                        .matching(MODEL, "must be a model's name, or a pattern with *, of 1 to 100 characters")),
                from,
                until,
                field.required(keys, "currency").matching(CURRENCY, "must be a code of three capital letters"),
                absentIsZero(keys.get("absent_is_zero")),
                tiers(field, keys, digits));
    }

    private static ZoneId zone(PriceField field) {
        try {
            return ZoneId.of(field.text());
        } catch (DateTimeException wrong) {
            throw field.complaint("must be a time zone such as Asia/Shanghai, but is " + field.value());
        }
    }

    private static @Nullable Instant date(@Nullable PriceField field, ZoneId zone) {
        if (field == null) {
            return null;
        }
        try {
            return LocalDate.parse(field.text()).atStartOfDay(zone).toInstant();
        } catch (DateTimeException wrong) {
            throw field.complaint("must be a date such as 2026-01-31, but is " + field.value());
        }
    }

    private static int digitsOfUnit(PriceField field) {
        return switch (field.text()) {
            case "million" -> 6;
            case "thousand" -> 3;
            default -> throw field.complaint("must be million or thousand, but is " + field.value());
        };
    }

    private static Set<TokenPart> absentIsZero(@Nullable PriceField field) {
        Set<TokenPart> parts = EnumSet.noneOf(TokenPart.class);
        if (field == null) {
            return parts;
        }
        for (PriceField item : field.items(3)) {
            parts.add(
                    switch (item.text()) {
                        case "cache_read" -> TokenPart.CACHE_READ_INPUT;
                        case "cache_creation" -> TokenPart.CACHE_CREATION_INPUT;
                        case "reasoning" -> TokenPart.REASONING_OUTPUT;
                        default ->
                            throw item.complaint(
                                    "must be cache_read, cache_creation or reasoning, but is " + item.value());
                    });
        }
        return parts;
    }

    private static List<PriceTier> tiers(PriceField entry, Map<String, PriceField> keys, int digits) {
        PriceField tiers = keys.get("tiers");
        if (tiers == null) {
            return List.of(tier(entry, keys, Long.MAX_VALUE, digits));
        }
        for (String key : PRICE_KEYS) {
            PriceField beside = keys.get(key);
            if (beside != null) {
                throw beside.complaint("must be in a tier where there are tiers, but is beside them");
            }
        }
        List<PriceTier> all = new ArrayList<>();
        List<PriceField> items = tiers.items(MOST_TIERS);
        for (PriceField item : items) {
            Map<String, PriceField> inTier = item.entries(TIER_KEYS);
            PriceField upTo = inTier.get("up_to_input");
            if (upTo == null && all.size() < items.size() - 1) {
                throw item.complaint("must have up_to_input unless it is the last tier, but has none");
            }
            long limit = upTo == null ? Long.MAX_VALUE : upTo.tokens();
            long before = all.isEmpty() ? 0 : all.get(all.size() - 1).upToInput();
            if (upTo != null && limit <= before) {
                throw upTo.complaint(
                        "must be more than that of the tier before, %d, but is %d".formatted(before, limit));
            }
            all.add(tier(item, inTier, limit, digits));
        }
        return all;
    }

    private static PriceTier tier(PriceField field, Map<String, PriceField> keys, long limit, int digits) {
        PriceField batch = keys.get("batch");
        return new PriceTier(
                limit,
                prices(field, keys, digits),
                batch == null ? null : prices(batch, batch.entries(BATCH_KEYS), digits));
    }

    private static Prices prices(PriceField field, Map<String, PriceField> keys, int digits) {
        PriceField reasoning = keys.get("reasoning");
        PriceField whenReasoning = keys.get("output_when_reasoning");
        if (reasoning != null && whenReasoning != null) {
            throw whenReasoning.complaint("must not be given where reasoning is, but is");
        }
        BigDecimal input = price(field.required(keys, "input"), digits);
        BigDecimal output = price(field.required(keys, "output"), digits);
        return new Prices(
                input,
                optional(keys.get("cache_read"), digits),
                optional(keys.get("cache_creation"), digits),
                output,
                optional(reasoning, digits),
                optional(whenReasoning, digits));
    }

    private static @Nullable BigDecimal optional(@Nullable PriceField field, int digits) {
        return field == null ? null : price(field, digits);
    }

    private static BigDecimal price(PriceField field, int digits) {
        return new BigDecimal(
                        field.matching(PRICE, "must be a decimal number of up to 9 digits and 12 after the point"))
                .movePointLeft(digits);
    }
}
