package io.fluxtally.dashscope;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.ChatUsage;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

@Label("a usage that goes to DashScope's type and back")
class DashScopeRoundTripTest {

    /** The parts that DashScope's record has a place for. */
    private static final List<TokenPart> PARTS = List.of(
            TokenPart.CACHE_READ_INPUT,
            TokenPart.CACHE_CREATION_INPUT,
            TokenPart.REASONING_OUTPUT,
            TokenPart.TEXT_INPUT,
            TokenPart.IMAGE_INPUT,
            TokenPart.AUDIO_INPUT,
            TokenPart.VIDEO_INPUT,
            TokenPart.TEXT_OUTPUT);

    @Provide
    Arbitrary<TokenUsage> usages() {
        Arbitrary<Long> count = Arbitraries.longs().between(0, Integer.MAX_VALUE);
        Arbitrary<Map<TokenPart, Integer>> shares =
                Arbitraries.maps(Arbitraries.of(PARTS), Arbitraries.integers().between(0, 100));
        return Combinators.combine(count, count, count, shares).as((input, output, total, parts) -> {
            TokenUsage.Builder usage =
                    TokenUsage.builder().inputTokens(input).outputTokens(output).totalTokens(total);
            parts.forEach((part, percent) ->
                    usage.part(part, (part.side() == TokenPart.Side.INPUT ? input : output) * percent / 100));
            return usage.build();
        });
    }

    @Property(tries = 1_000)
    @Label("is the same, part by part, absent parts included")
    void same(@ForAll("usages") TokenUsage usage) {
        DashScopeApiSpec.TokenUsage record =
                (DashScopeApiSpec.TokenUsage) DashScopeUsages.toDashScope(usage).getNativeUsage();

        assertThat(DashScopeUsages.toTokenUsage(record)).isEqualTo(usage);
    }

    @Property(tries = 200)
    @Label("is read by the capture the same way, through the reader that the service loader finds")
    void captured(@ForAll("usages") TokenUsage usage) {
        assertThat(ChatUsage.tokensOf(DashScopeUsages.toDashScope(usage))).isEqualTo(usage);
    }

    @Property(tries = 500)
    @Label("never fails, whatever the record holds")
    void anyRecord(@ForAll List<Integer> counts) {
        Integer[] c = new Integer[11];
        for (int i = 0; i < c.length && i < counts.size(); i++) {
            c[i] = counts.get(i);
        }
        TokenUsage usage = DashScopeUsages.toTokenUsage(NativeUsage.of(c[0], c[1], c[2])
                .media(c[3], c[4], c[5])
                .inputDetails(c[6], c[7], c[8])
                .outputDetails(c[9], c[10])
                .cache(c[4], c[5], c[6])
                .build());

        assertThat(usage == null || usage.inputTokens() >= 0 && usage.outputTokens() >= 0)
                .isTrue();
    }
}
