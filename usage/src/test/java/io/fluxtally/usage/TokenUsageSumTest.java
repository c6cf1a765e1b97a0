package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.OptionalLong;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.PropertyDefaults;
import net.jqwik.api.Provide;

@Label("the sum of token usages")
@PropertyDefaults(edgeCases = EdgeCasesMode.NONE)
class TokenUsageSumTest {

    @Provide
    Arbitrary<TokenUsage> usages() {
        return Samples.usages();
    }

    @Property
    @Label("is associative")
    void associative(@ForAll("usages") TokenUsage a, @ForAll("usages") TokenUsage b, @ForAll("usages") TokenUsage c) {
        assertThat(a.plus(b).plus(c)).isEqualTo(a.plus(b.plus(c)));
    }

    @Property
    @Label("is commutative")
    void commutative(@ForAll("usages") TokenUsage a, @ForAll("usages") TokenUsage b) {
        assertThat(a.plus(b)).isEqualTo(b.plus(a)).hasSameHashCodeAs(b.plus(a));
    }

    @Property
    @Label("with ZERO is the same usage")
    void identity(@ForAll("usages") TokenUsage a) {
        assertThat(a.plus(TokenUsage.ZERO)).isEqualTo(a);
        assertThat(TokenUsage.ZERO.plus(a)).isEqualTo(a);
        assertThat(a.plus(TokenUsage.of(0, 0))).isEqualTo(a);
    }

    @Property
    @Label("adds every count on its own, and a part is absent only if both lack it")
    void fieldByField(@ForAll("usages") TokenUsage a, @ForAll("usages") TokenUsage b) {
        TokenUsage sum = a.plus(b);

        assertThat(sum.inputTokens()).isEqualTo(bounded(a.inputTokens(), b.inputTokens()));
        assertThat(sum.outputTokens()).isEqualTo(bounded(a.outputTokens(), b.outputTokens()));
        assertThat(sum.totalTokens()).isEqualTo(bounded(a.totalTokens(), b.totalTokens()));
        for (TokenPart part : TokenPart.values()) {
            boolean absent = a.part(part).isEmpty() && b.part(part).isEmpty();
            OptionalLong expected = absent
                    ? OptionalLong.empty()
                    : OptionalLong.of(
                            bounded(a.part(part).orElse(0), b.part(part).orElse(0)));
            assertThat(sum.part(part)).as(part.key()).isEqualTo(expected);
        }
    }

    private static long bounded(long left, long right) {
        return BigInteger.valueOf(left)
                .add(BigInteger.valueOf(right))
                .min(BigInteger.valueOf(Long.MAX_VALUE))
                .longValueExact();
    }
}
