package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class UsageSumTest {

    private static final RequestUsage CACHED = Samples.reported(
            "cached",
            TokenUsage.builder()
                    .inputTokens(100)
                    .outputTokens(10)
                    .part(TokenPart.CACHE_READ_INPUT, 40)
                    .build());
    private static final RequestUsage PLAIN = Samples.reported("plain", TokenUsage.of(200, 20));
    private static final RequestUsage SILENT = Samples.request("silent").build();

    @Test
    @DisplayName("the sum over no request is zero and complete")
    void empty() {
        assertThat(UsageSum.EMPTY.total()).isEqualTo(TokenUsage.ZERO);
        assertThat(UsageSum.EMPTY.requests()).isZero();
        assertThat(UsageSum.EMPTY.unreported()).isZero();
        assertThat(UsageSum.EMPTY.missing()).isZero();
        assertThat(UsageSum.EMPTY.isComplete()).isTrue();
        assertThat(UsageSum.EMPTY.reportedBy(TokenPart.CACHE_READ_INPUT)).isZero();
    }

    @Test
    @DisplayName("it adds the tokens and counts the requests")
    void adds() {
        UsageSum sum = UsageSum.EMPTY.plus(CACHED).plus(PLAIN);

        assertThat(sum.total().inputTokens()).isEqualTo(300);
        assertThat(sum.total().outputTokens()).isEqualTo(30);
        assertThat(sum.requests()).isEqualTo(2);
        assertThat(sum.isComplete()).isTrue();
    }

    @Test
    @DisplayName("a part that not every request reported can be told as a lower bound")
    void lowerBound() {
        UsageSum sum = UsageSum.EMPTY.plus(CACHED).plus(PLAIN).plus(CACHED);

        assertThat(sum.total().cacheReadInputTokens()).hasValue(80);
        assertThat(sum.reportedBy(TokenPart.CACHE_READ_INPUT)).isEqualTo(2).isLessThan(sum.requests());
        assertThat(sum.reportedBy(TokenPart.REASONING_OUTPUT)).isZero();
    }

    @Test
    @DisplayName("two sums add up to the sum over the requests of both")
    void addsSums() {
        UsageSum whole = UsageSum.EMPTY.plus(CACHED).plus(PLAIN).plus(CACHED).plus(SILENT);

        assertThat(UsageSum.EMPTY
                        .plus(CACHED)
                        .plus(PLAIN)
                        .plus(UsageSum.EMPTY.plus(CACHED).plus(SILENT)))
                .isEqualTo(whole);
        assertThat(whole.plus(UsageSum.EMPTY)).isEqualTo(whole);
        assertThat(UsageSum.EMPTY.plus(whole)).isEqualTo(whole);
    }

    @Test
    @DisplayName("plus does not mutate the original")
    void doesNotMutateTheOriginal() {
        UsageSum original = UsageSum.EMPTY.plus(CACHED);

        original.plus(CACHED).plus(SILENT);
        original.plus(original);

        assertThat(original.requests()).isEqualTo(1);
        assertThat(original.unreported()).isZero();
        assertThat(original.total()).isEqualTo(CACHED.usage());
        assertThat(original.reportedBy(TokenPart.CACHE_READ_INPUT)).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(
            value = UsageSource.class,
            names = {"PARTIAL", "ESTIMATED"})
    @DisplayName("a figure that is not the provider's last word counts, and makes the sum incomplete")
    void gradedFigures(UsageSource source) {
        UsageSum sum = UsageSum.EMPTY
                .plus(PLAIN)
                .plus(Samples.request("cut").usage(TokenUsage.of(5, 1), source).build());

        assertThat(sum.total()).isEqualTo(TokenUsage.of(205, 21));
        assertThat(sum.requests()).isEqualTo(2);
        assertThat(sum.unreported()).isEqualTo(1);
        assertThat(sum.missing()).isZero();
        assertThat(sum.isComplete()).isFalse();
    }

    @Test
    @DisplayName("T14: a request whose figure is missing adds no tokens, is counted, and makes the sum incomplete")
    void missing() {
        UsageSum sum = UsageSum.EMPTY.plus(PLAIN).plus(SILENT);

        assertThat(sum.total()).isEqualTo(TokenUsage.of(200, 20));
        assertThat(sum.requests()).isEqualTo(2);
        assertThat(sum.unreported()).isEqualTo(1);
        assertThat(sum.missing()).isEqualTo(1);
        assertThat(sum.isComplete()).isFalse();
    }

    @Test
    @DisplayName("sums over equal figures are equal, and one that fewer requests reported is not")
    void equality() {
        UsageSum sum = UsageSum.EMPTY.plus(CACHED).plus(PLAIN);
        RequestUsage zeroCached = Samples.reported(
                "zero",
                TokenUsage.builder()
                        .inputTokens(200)
                        .outputTokens(20)
                        .part(TokenPart.CACHE_READ_INPUT, 0)
                        .build());

        assertThat(sum).isEqualTo(UsageSum.EMPTY.plus(PLAIN).plus(CACHED));
        assertThat(sum).hasSameHashCodeAs(UsageSum.EMPTY.plus(PLAIN).plus(CACHED));
        assertThat(sum)
                .isNotEqualTo(UsageSum.EMPTY.plus(CACHED).plus(zeroCached))
                .isNotEqualTo(UsageSum.EMPTY.plus(CACHED))
                .isNotEqualTo(sum.plus(SILENT))
                .isNotEqualTo(null);
        RequestUsage estimated = Samples.request("estimated")
                .usage(PLAIN.usage(), UsageSource.ESTIMATED)
                .build();
        assertThat(UsageSum.EMPTY.plus(PLAIN)).isNotEqualTo(UsageSum.EMPTY.plus(estimated));
        RequestUsage estimatedAsZero = Samples.request("estimated as zero")
                .usage(TokenUsage.ZERO, UsageSource.ESTIMATED)
                .build();
        assertThat(UsageSum.EMPTY.plus(SILENT)).isNotEqualTo(UsageSum.EMPTY.plus(estimatedAsZero));
    }

    @Test
    @DisplayName("the text says how many requests are unreported")
    void text() {
        assertThat(UsageSum.EMPTY.plus(SILENT))
                .hasToString("UsageSum[total=TokenUsage[input_tokens=0, output_tokens=0, total_tokens=0],"
                        + " requests=1, unreported=1]");
    }

    @Test
    @DisplayName("a sum that was made elsewhere is equal to the one that its requests come to")
    void madeElsewhere() {
        UsageSum sum = UsageSum.EMPTY.plus(CACHED).plus(PLAIN).plus(SILENT);

        assertThat(UsageSum.of(sum.total(), 3, 1, 1, Map.of(TokenPart.CACHE_READ_INPUT, 1L)))
                .isEqualTo(sum);
        assertThat(UsageSum.of(TokenUsage.ZERO, 0, 0, 0, Map.of())).isEqualTo(UsageSum.EMPTY);
        assertThatThrownBy(() -> UsageSum.of(sum.total(), 3, 0, 1, Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("missing (1) are among unreported (0), and these among requests (3)");
        assertThatThrownBy(() -> UsageSum.of(sum.total(), 3, 1, 1, Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(
                        "cacheReadInputTokens must be reported by some of the 2 requests with a figure exactly if it is in the total, but is by 0");
    }
}
