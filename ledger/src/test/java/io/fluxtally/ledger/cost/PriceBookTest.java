package io.fluxtally.ledger.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Label("A price book")
class PriceBookTest {

    private static final Instant DAY = Instant.parse("2026-06-01T12:00:00Z");

    /** DashScope's qwen-plus as of the page that the example names. */
    private static final PriceBook EXAMPLE = PriceBook.read(Path.of("../docs/price-book-example.yaml"));

    /** A price for each part, so that each shows. */
    private static final PriceBook PARTS = PriceBook.read("parts.yaml", """
            prices:
              - model: m
                currency: USD
                per: million
                input: 10
                cache_read: 1
                cache_creation: 12
                output: 100
                reasoning: 300
            """);

    private static RequestUsage.Builder request(String model) {
        return RequestUsage.builder(UUID.randomUUID().toString(), DAY)
                .provider("dashscope")
                .responseModel(model);
    }

    private static RequestUsage reported(String model, TokenUsage usage) {
        return request(model).usage(usage, UsageSource.REPORTED).build();
    }

    private static TokenUsage usage(long input, long output, long cached, long reasoning) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, cached)
                .part(TokenPart.REASONING_OUTPUT, reasoning)
                .build();
    }

    private static TokenUsage allParts(long input, long output, long read, long created, long reasoning) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, read)
                .part(TokenPart.CACHE_CREATION_INPUT, created)
                .part(TokenPart.REASONING_OUTPUT, reasoning)
                .build();
    }

    private static RequestCost exact(String currency, String amount) {
        return new RequestCost(CostGrade.EXACT, currency, new BigDecimal(amount), new BigDecimal(amount));
    }

    private static RequestCost between(String currency, String least, String most) {
        return new RequestCost(CostGrade.BOUNDED, currency, new BigDecimal(least), new BigDecimal(most));
    }

    private static RequestCost atLeast(String currency, String amount) {
        return new RequestCost(CostGrade.AT_LEAST, currency, new BigDecimal(amount), null);
    }

    // Tiers

    @ParameterizedTest
    @CsvSource({
        "20000, 0.016",
        "128000, 0.1024",
        "128001, 0.3072024",
        "130000, 0.312",
        "256000, 0.6144",
        "256001, 1.2288048",
        "1000000, 4.8"
    })
    @DisplayName("T16: prices a request wholly at the price of its tier, whose limit belongs to it")
    void tiers(long input, String cost) {
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(input, 0, 0, 0)))).isEqualTo(exact("CNY", cost));
    }

    @Test
    @DisplayName("T16: prices three requests of 50,000 tokens as such, and not as one of 150,000")
    void perRequest() {
        List<RequestUsage> three = Collections.nCopies(3, usage(50_000, 1_000, 0, 0)).stream()
                .map(usage -> reported("qwen-plus", usage))
                .toList();

        CostSum cost = EXAMPLE.costOf(RunUsage.of(three, 0));

        // 3 x (50,000 x 0.8 + 1,000 x 2); 150,000 would be at 2.4 and 20.
        assertThat(cost.atLeast()).containsExactly(Map.entry("CNY", new BigDecimal("0.126")));
        assertThat(cost.isExact()).isTrue();
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(150_000, 3_000, 0, 0))))
                .isEqualTo(exact("CNY", "0.42"));
    }

    @Test
    @DisplayName("goes by the whole input for the tier, cached input included, and prices the cached part as such")
    void cachedCountsForTheTier() {
        // 2,000 x 2.4 + 128,000 x 0.48
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(130_000, 0, 128_000, 0))))
                .isEqualTo(exact("CNY", "0.06624"));
    }

    @Test
    @DisplayName(
            "prices all output of a request that reasons at the price for that, and knows the provider's two prices apart")
    void outputWhenReasoning() {
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(0, 1_000, 0, 1)))).isEqualTo(exact("CNY", "0.008"));
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(0, 1_000, 0, 0)))).isEqualTo(exact("CNY", "0.002"));
    }

    @Test
    @DisplayName("has no price for a request that is larger than the last tier")
    void largerThanAll() {
        assertThat(EXAMPLE.costOf(reported("qwen-plus", usage(1_000_001, 0, 0, 0))))
                .isEqualTo(RequestCost.NO_PRICE);
    }

    // Parts

    @Test
    @DisplayName("prices each part once, at its own price, and the rest of its side at the side's")
    void parts() {
        // 600 x 10 + 300 x 1 + 100 x 12 + 15 x 100 + 5 x 300
        assertThat(PARTS.costOf(reported("m", allParts(1_000, 20, 300, 100, 5))))
                .isEqualTo(exact("USD", "0.0105"));
    }

    @ParameterizedTest
    @CsvSource({
        // nothing reported: 1,000 input at 1 to 12, 20 output at 100 to 300
        "-1, -1, -1, 0.003, 0.018",
        // 300 read: 700 at 10 to 12
        "300, -1, 5, 0.0103, 0.0117",
        // 100 written: 900 at 1 to 10
        "-1, 100, 0, 0.0041, 0.0122",
    })
    @DisplayName("gives two amounts for a request that does not say what of it was at another price")
    void absentParts(long read, long created, long reasoning, String least, String most) {
        TokenUsage.Builder usage = TokenUsage.builder().inputTokens(1_000).outputTokens(20);
        if (read >= 0) {
            usage.part(TokenPart.CACHE_READ_INPUT, read);
        }
        if (created >= 0) {
            usage.part(TokenPart.CACHE_CREATION_INPUT, created);
        }
        if (reasoning >= 0) {
            usage.part(TokenPart.REASONING_OUTPUT, reasoning);
        }

        assertThat(PARTS.costOf(reported("m", usage.build()))).isEqualTo(between("USD", least, most));
    }

    @Test
    @DisplayName(
            "takes an absent part for 0 where the book says that the provider leaves it out then, and nowhere else")
    void absentIsZero() {
        TokenUsage noParts = TokenUsage.of(1_000, 100);

        // Not cache creation, but cache read and thinking may be.
        assertThat(EXAMPLE.costOf(reported("qwen-plus", noParts))).isEqualTo(between("CNY", "0.00036", "0.0016"));
    }

    @Test
    @DisplayName("is exact without a part that has no price of its own")
    void partWithoutPrice() {
        PriceBook plain = book("input: 1", "output: 2");

        assertThat(plain.costOf(reported("m", TokenUsage.of(1_000_000, 500_000))))
                .isEqualTo(exact("USD", "2"));
    }

    @Test
    @DisplayName("has no cost for a request whose parts are together more than its input")
    void partsTooLarge() {
        assertThat(PARTS.costOf(reported("m", allParts(1_000, 20, 600, 600, 0))))
                .isEqualTo(RequestCost.NO_FIGURE);
    }

    @Property
    @Label("never leaves its bounds, whatever the parts that were not reported are")
    void boundsHold(
            @ForAll @LongRange(max = 1_000_000) long input,
            @ForAll @LongRange(max = 1_000_000) long output,
            @ForAll @LongRange(max = 100) long read,
            @ForAll @LongRange(max = 100) long created,
            @ForAll @LongRange(max = 100) long reasoning) {
        long readTokens = input * read / 200;
        long createdTokens = input * created / 200;
        RequestCost told = PARTS.costOf(
                reported("m", allParts(input, output, readTokens, createdTokens, output * reasoning / 100)));
        RequestCost untold = PARTS.costOf(reported("m", TokenUsage.of(input, output)));

        assertThat(told.grade()).isEqualTo(CostGrade.EXACT);
        assertThat(untold.atLeast()).isLessThanOrEqualTo(told.atLeast());
        assertThat(untold.atMost()).isGreaterThanOrEqualTo(told.atMost());
    }

    // Sources

    @Test
    @DisplayName("has no cost, and not 0, for a request without a figure or without a price")
    void unknown() {
        RequestUsage missing = request("qwen-plus").build();
        RequestUsage unknownModel = reported("qwen-unheard-of", usage(10, 1, 0, 0));
        RequestUsage noModel =
                request("").usage(usage(10, 1, 0, 0), UsageSource.REPORTED).build();
        RequestUsage known = reported("qwen-plus", usage(1_000, 0, 0, 0));

        assertThat(EXAMPLE.costOf(missing)).isEqualTo(RequestCost.NO_FIGURE);
        assertThat(EXAMPLE.costOf(unknownModel)).isEqualTo(RequestCost.NO_PRICE);
        assertThat(EXAMPLE.costOf(noModel)).isEqualTo(RequestCost.NO_PRICE);
        assertThat(EXAMPLE.costOf(unknownModel).isPriced()).isFalse();

        CostSum sum = EXAMPLE.costOf(List.of(missing, unknownModel, noModel, known));

        assertThat(sum.atLeast()).containsExactly(Map.entry("CNY", new BigDecimal("0.0008")));
        assertThat(sum.atMost()).isEmpty();
        assertThat(sum.isExact()).isFalse();
        assertThat(sum.requests()).isEqualTo(4);
        assertThat(sum.unpriced()).isEqualTo(3);
        assertThat(sum.count(CostGrade.NO_FIGURE)).isEqualTo(1);
        assertThat(sum).hasToString("CostSum[CNY at least 0.0008, requests=4, NO_PRICE=2, NO_FIGURE=1]");
    }

    @Test
    @DisplayName("costs nothing for a request that the provider refused, whatever the price")
    void rejected() {
        CostSum sum = EXAMPLE.costOf(List.of(reported("no-such-model", TokenUsage.ZERO)));

        assertThat(sum.isExact()).isTrue();
        assertThat(sum.atLeast()).isEmpty();
        assertThat(sum.unpriced()).isZero();
    }

    @Test
    @DisplayName("gives a lower bound for a running figure, in whatever tier its final one is")
    void partial() {
        PriceBook cheaperAbove = PriceBook.read("falling.yaml", """
                prices:
                  - model: m
                    currency: USD
                    per: million
                    tiers:
                      - {up_to_input: 1000, input: 10, output: 10}
                      - {input: 4, output: 4}
                """);
        RequestUsage cut =
                request("m").usage(TokenUsage.of(1_000, 0), UsageSource.PARTIAL).build();

        assertThat(cheaperAbove.costOf(cut)).isEqualTo(atLeast("USD", "0.004"));
        assertThat(cheaperAbove.costOf(reported("m", TokenUsage.of(1_000, 0)))).isEqualTo(exact("USD", "0.01"));

        CostSum sum = cheaperAbove.costOf(List.of(cut, reported("m", TokenUsage.of(1_000, 0))));

        assertThat(sum.atLeast()).containsExactly(Map.entry("USD", new BigDecimal("0.014")));
        assertThat(sum.atMost()).isEmpty();
        assertThat(sum.count(CostGrade.AT_LEAST)).isEqualTo(1);
        assertThat(sum.unpriced()).isZero();
    }

    @Test
    @DisplayName("says of an estimate that it is one")
    void estimated() {
        RequestUsage guess = request("qwen-plus")
                .usage(usage(1_000, 0, 0, 0), UsageSource.ESTIMATED)
                .build();

        assertThat(EXAMPLE.costOf(guess).grade()).isEqualTo(CostGrade.ESTIMATED);
        assertThat(EXAMPLE.costOf(guess).atLeast()).isEqualByComparingTo("0.0008");
        assertThat(EXAMPLE.costOf(List.of(guess)).isExact()).isFalse();
    }

    @Test
    @DisplayName("gives a lower bound where the total has tokens that are neither input nor output")
    void moreThanInputAndOutput() {
        TokenUsage more = TokenUsage.builder()
                .inputTokens(1_000)
                .outputTokens(0)
                .totalTokens(1_500)
                .part(TokenPart.CACHE_READ_INPUT, 0)
                .part(TokenPart.REASONING_OUTPUT, 0)
                .build();

        assertThat(EXAMPLE.costOf(reported("qwen-plus", more))).isEqualTo(atLeast("CNY", "0.0008"));
    }

    @Test
    @DisplayName("prices a batch request at batch prices, and has no price for it where there are none")
    void batch() {
        RequestUsage small = request("qwen-plus")
                .labels(Map.of(PriceBook.BATCH, "true"))
                .usage(usage(1_000, 1_000, 500, 0), UsageSource.REPORTED)
                .build();
        RequestUsage large = request("qwen-plus")
                .labels(Map.of(PriceBook.BATCH, "true"))
                .usage(usage(200_000, 0, 0, 0), UsageSource.REPORTED)
                .build();

        assertThat(EXAMPLE.costOf(small)).isEqualTo(exact("CNY", "0.0014"));
        assertThat(EXAMPLE.costOf(large)).isEqualTo(RequestCost.NO_PRICE);
    }

    // Sums

    @Test
    @DisplayName("never adds two currencies")
    void currencies() {
        PriceBook two = PriceBook.read("two.yaml", """
                prices:
                  - {model: a, currency: USD, per: million, input: 1, output: 1}
                  - {model: b, currency: CNY, per: thousand, input: 0.007, output: 1}
                """);

        CostSum sum = two.costOf(List.of(
                reported("a", TokenUsage.of(1_000_000, 0)),
                reported("b", TokenUsage.of(1_000_000, 0)),
                reported("a", TokenUsage.of(500_000, 0))));

        assertThat(sum.atLeast())
                .containsExactly(Map.entry("CNY", new BigDecimal("7")), Map.entry("USD", new BigDecimal("1.5")));
        assertThat(sum.atMost()).isEqualTo(sum.atLeast());
    }

    @Test
    @DisplayName("loses nothing to rounding: a million times the smallest price is the price times a million")
    void nothingIsRounded() {
        PriceBook tiny = book("input: 0.000000000001", "output: 0");
        CostSum sum = CostSum.EMPTY;
        for (int i = 0; i < 1_000; i++) {
            sum = sum.plus(tiny.costOf(reported("m", TokenUsage.of(1, 0))));
        }

        assertThat(sum.atLeast()).containsExactly(Map.entry("USD", new BigDecimal("0.000000000000001")));
        assertThat(tiny.costOf(reported("m", TokenUsage.of(Long.MAX_VALUE, 0))))
                .isEqualTo(exact("USD", "9.223372036854775807"));
    }

    @Property
    @Label("adds sums of parts to the sum of all, in any order")
    void sumsAddUp(@ForAll List<@LongRange(max = 300_000) Long> inputs) {
        List<RequestUsage> requests = new ArrayList<>();
        for (long input : inputs) {
            requests.add(reported(input % 7 == 0 ? "other" : "qwen-plus", TokenUsage.of(input, input % 100)));
        }
        int half = requests.size() / 2;
        CostSum first = EXAMPLE.costOf(requests.subList(0, half));
        CostSum second = EXAMPLE.costOf(requests.subList(half, requests.size()));
        List<RequestUsage> backwards = new ArrayList<>(requests);
        Collections.reverse(backwards);

        assertThat(first.plus(second)).isEqualTo(EXAMPLE.costOf(requests));
        assertThat(second.plus(first)).isEqualTo(EXAMPLE.costOf(backwards));
    }

    // Which entry wins

    @ParameterizedTest
    @CsvSource({
        "qwen-plus,       dashscope, 1",
        "qwen-plus,       openai,    2",
        "qwen-plus-2025,  dashscope, 3",
        "qwen-max,        dashscope, 4",
        "qwen-turbo-2024, dashscope, 5",
        "other,           dashscope, 6"
    })
    @DisplayName("lets the entry win that names the model, then the pattern that says more of it, then the provider")
    void mostSpecific(String model, String provider, String input) {
        PriceBook ranked = PriceBook.read("ranked.yaml", """
                prices:
                  - {model: '*', currency: USD, per: million, input: 6, output: 1}
                  - {model: 'qwen-*', provider: dashscope, currency: USD, per: million, input: 4, output: 1}
                  - {model: 'qwen-*', currency: USD, per: million, input: 7, output: 1}
                  - {model: 'qwen-plus*', currency: USD, per: million, input: 3, output: 1}
                  - {model: 'qwen-*-2024', currency: USD, per: million, input: 5, output: 1}
                  - {model: qwen-plus, currency: USD, per: million, input: 2, output: 1}
                  - {model: qwen-plus, provider: dashscope, currency: USD, per: million, input: 1, output: 1}
                """);

        assertThat(ranked.costOf(request(model)
                        .provider(provider)
                        .usage(TokenUsage.of(1_000_000, 0), UsageSource.REPORTED)
                        .build()))
                .isEqualTo(exact("USD", input));
    }

    @ParameterizedTest
    @CsvSource({
        "2025-12-31T15:59:59Z, 1",
        "2025-12-31T16:00:00Z, 2",
        "2026-05-31T15:59:59Z, 2",
        "2026-05-31T16:00:00Z, 3",
        "2026-12-31T16:00:00Z, 2"
    })
    @DisplayName("takes the price that held when the request was sent: the one valid since later, and days of its zone")
    void validity(Instant start, String input) {
        PriceBook dated = PriceBook.read("dated.yaml", """
                prices:
                  - {model: m, currency: USD, per: million, until: 2026-01-01, zone: Asia/Shanghai, input: 1, output: 1}
                  - {model: m, currency: USD, per: million, from: 2026-01-01, zone: Asia/Shanghai, input: 2, output: 1}
                  - {model: m, currency: USD, per: million, from: 2026-06-01, until: 2027-01-01, zone: Asia/Shanghai, input: 3, output: 1}
                """);

        assertThat(dated.costOf(RequestUsage.builder("r", start)
                        .responseModel("m")
                        .usage(TokenUsage.of(1_000_000, 0), UsageSource.REPORTED)
                        .build()))
                .isEqualTo(exact("USD", input));
    }

    @Test
    @DisplayName("refuses two entries that may tie, and names both")
    void ambiguous() {
        assertThatThrownBy(() -> PriceBook.read("tie.yaml", """
                        prices:
                          - {model: 'qwen-*', currency: USD, per: million, input: 1, output: 1}
                          - {model: '*-plus', currency: USD, per: million, input: 2, output: 1}
                        """))
                .isInstanceOf(PriceBookException.class)
                .hasMessage(
                        "tie.yaml:3: prices[1] must differ in rank from every entry for the same requests, but is as good for some "
                                + "as that of line 2 (qwen-*)");
    }

    @Test
    @DisplayName("reads two entries of one rank that no request can have both of")
    void noTie() {
        PriceBook.read("no-tie.yaml", """
                prices:
                  - {model: 'qwen-*', currency: USD, per: million, input: 1, output: 1}
                  - {model: 'gpt-4*', currency: USD, per: million, input: 1, output: 1}
                  - {model: m, provider: a, currency: USD, per: million, input: 1, output: 1}
                  - {model: m, provider: b, currency: USD, per: million, input: 1, output: 1}
                  - {model: n, currency: USD, per: million, until: 2026-01-01, input: 1, output: 1}
                  - {model: n, currency: USD, per: million, from: 2026-01-01, input: 1, output: 1}
                """);
    }

    private static PriceBook book(String... lines) {
        return PriceBook.read(
                "book.yaml",
                "prices:\n  - model: m\n    currency: USD\n    per: million\n    " + String.join("\n    ", lines));
    }
}
