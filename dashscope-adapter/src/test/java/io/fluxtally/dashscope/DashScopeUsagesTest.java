package io.fluxtally.dashscope;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.metadata.Usage;

@DisplayName("DashScope's usage")
class DashScopeUsagesTest {

    private static TokenUsage read(NativeUsage usage) {
        return DashScopeUsages.toTokenUsage(usage.build());
    }

    private static void assertPart(TokenUsage usage, TokenPart part, long tokens) {
        assertThat(usage.part(part)).as(part.key()).hasValue(tokens);
    }

    @Test
    @DisplayName("is read with its counts, and without a part that it does not report")
    void counts() {
        assertThat(read(NativeUsage.of(26, 8, 34))).isEqualTo(TokenUsage.of(26, 8));
    }

    @Test
    @DisplayName("keeps a total that is more than its input and output")
    void ownTotal() {
        assertThat(read(NativeUsage.of(26, 8, 40)).totalTokens()).isEqualTo(40);
    }

    @Test
    @DisplayName("has the sum as its total where it reports none")
    void noTotal() {
        assertThat(read(NativeUsage.of(26, 8, null)).totalTokens()).isEqualTo(34);
    }

    @Test
    @DisplayName("T14: without a figure is none, and a null count is not a zero that was reported")
    void nulls() {
        assertThat(read(NativeUsage.of(null, null, null))).isNull();
        assertThat(read(NativeUsage.of(null, null, null)
                        .inputDetails(null, null, null)
                        .outputDetails(null, null)
                        .cache(null, null, null)))
                .isNull();
        assertThat(read(NativeUsage.of(26, null, null))).isEqualTo(TokenUsage.of(26, 0));
        assertThat(read(NativeUsage.of(null, 8, null))).isEqualTo(TokenUsage.of(0, 8));
        assertThat(read(NativeUsage.of(0, 0, 0))).isEqualTo(TokenUsage.ZERO);
    }

    @Test
    @DisplayName("T13: has cached input as a part of its input, which it is in DashScope")
    void cached() {
        TokenUsage usage = read(NativeUsage.of(5000, 10, 5010).cache(4864, null, null));

        assertThat(usage.inputTokens()).isEqualTo(5000);
        assertPart(usage, TokenPart.CACHE_READ_INPUT, 4864);
        assertThat(usage.cacheCreationInputTokens()).isEmpty();
    }

    @Test
    @DisplayName("T14: has a cached part of zero where it reports zero")
    void cachedZero() {
        assertPart(read(NativeUsage.of(5000, 10, 5010).cache(0, null, null)), TokenPart.CACHE_READ_INPUT, 0);
    }

    @Test
    @DisplayName("has cache creation, from its count or else from the ephemeral one, not from both")
    void cacheCreation() {
        assertPart(read(NativeUsage.of(5000, 10, 5010).cache(null, 700, null)), TokenPart.CACHE_CREATION_INPUT, 700);
        assertPart(read(NativeUsage.of(5000, 10, 5010).cache(null, null, 600)), TokenPart.CACHE_CREATION_INPUT, 600);
        assertPart(read(NativeUsage.of(5000, 10, 5010).cache(100, 700, 600)), TokenPart.CACHE_CREATION_INPUT, 700);
    }

    @Test
    @DisplayName("has its reasoning, which the record misnames image")
    void reasoning() {
        TokenUsage usage = read(NativeUsage.of(20, 54, 74).outputDetails(14, 40));

        assertPart(usage, TokenPart.REASONING_OUTPUT, 40);
        assertPart(usage, TokenPart.TEXT_OUTPUT, 14);
        assertThat(usage.part(TokenPart.IMAGE_OUTPUT)).isEmpty();
    }

    @Test
    @DisplayName("parsed from JSON by DashScope's own record has reasoning_tokens as its reasoning")
    void reasoningFromJson() throws Exception {
        DashScopeApiSpec.TokenUsage parsed = new ObjectMapper().readValue("""
                        {"total_tokens":7000,"input_tokens":5000,"output_tokens":2000,
                         "prompt_tokens_details":{"cached_tokens":64,"cache_creation_input_tokens":32},
                         "output_tokens_details":{"reasoning_tokens":640,"text_tokens":1360}}""", DashScopeApiSpec.TokenUsage.class);

        assertThat(DashScopeUsages.toTokenUsage(parsed))
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(5000)
                        .outputTokens(2000)
                        .part(TokenPart.CACHE_READ_INPUT, 64)
                        .part(TokenPart.CACHE_CREATION_INPUT, 32)
                        .part(TokenPart.REASONING_OUTPUT, 640)
                        .part(TokenPart.TEXT_OUTPUT, 1360)
                        .build());
    }

    @Test
    @DisplayName("has text, image, audio and video of its input, of the details or else of its top level")
    void media() {
        TokenUsage detailed =
                read(NativeUsage.of(100, 8, 108).inputDetails(10, 20, 30).media(21, 31, 40));
        assertPart(detailed, TokenPart.TEXT_INPUT, 10);
        assertPart(detailed, TokenPart.IMAGE_INPUT, 20);
        assertPart(detailed, TokenPart.AUDIO_INPUT, 30);
        assertPart(detailed, TokenPart.VIDEO_INPUT, 40);

        TokenUsage topLevel = read(NativeUsage.of(100, 8, 108).media(21, 31, 40));
        assertPart(topLevel, TokenPart.IMAGE_INPUT, 21);
        assertPart(topLevel, TokenPart.AUDIO_INPUT, 31);
        assertPart(topLevel, TokenPart.VIDEO_INPUT, 40);
        assertThat(topLevel.part(TokenPart.TEXT_INPUT)).isEmpty();
    }

    @Test
    @DisplayName("of details alone counts what they add up to, as speech recognition reports it")
    void detailsOnly() {
        TokenUsage usage =
                read(NativeUsage.of(null, null, null).inputDetails(16, null, 40).outputDetails(6, null));

        assertThat(usage.inputTokens()).isEqualTo(56);
        assertThat(usage.outputTokens()).isEqualTo(6);
        assertThat(usage.totalTokens()).isEqualTo(62);
        assertPart(usage, TokenPart.AUDIO_INPUT, 40);
    }

    @Test
    @DisplayName("leaves out a part that exceeds what it is a part of")
    void contradiction() {
        TokenUsage usage = read(NativeUsage.of(10, 5, 15).cache(11, null, null).outputDetails(null, 6));

        assertThat(usage).isEqualTo(TokenUsage.of(10, 5));
    }

    @Test
    @DisplayName(
            "T20: is what totals are given back as, so that the cast of issue 4488 reads them in the native record")
    void cast() {
        TokenUsage total = TokenUsage.builder()
                .inputTokens(19_000)
                .outputTokens(7_500)
                .part(TokenPart.CACHE_READ_INPUT, 9_984)
                .part(TokenPart.REASONING_OUTPUT, 2_048)
                .build();

        Usage usage = DashScopeUsages.toDashScope(total);
        DashScopeAiUsage cast = (DashScopeAiUsage) usage;
        DashScopeApiSpec.TokenUsage record = (DashScopeApiSpec.TokenUsage) cast.getNativeUsage();

        assertThat(cast.getPromptTokens()).isEqualTo(19_000);
        assertThat(cast.getCompletionTokens()).isEqualTo(7_500);
        assertThat(cast.getTotalTokens()).isEqualTo(26_500);
        assertThat(record.inputTokens()).isEqualTo(19_000);
        assertThat(record.outputTokens()).isEqualTo(7_500);
        assertThat(record.totalTokens()).isEqualTo(26_500);
        assertThat(record.promptTokenDetailed().cachedTokens()).isEqualTo(9_984);
        assertThat(record.promptTokenDetailed().cacheCreationInputTokens()).isNull();
        assertThat(record.outputTokensDetails().image()).isEqualTo(2_048);
        assertThat(record.outputTokensDetails().text()).isNull();
    }

    @Test
    @DisplayName(
            "T20: has every part where the author of issue 4488 reads it: details, and image, audio, video beside them")
    void everyPartBack() {
        DashScopeApiSpec.TokenUsage record =
                (DashScopeApiSpec.TokenUsage) DashScopeUsages.toDashScope(TokenUsage.builder()
                                .inputTokens(100)
                                .outputTokens(50)
                                .part(TokenPart.TEXT_INPUT, 10)
                                .part(TokenPart.IMAGE_INPUT, 20)
                                .part(TokenPart.AUDIO_INPUT, 30)
                                .part(TokenPart.VIDEO_INPUT, 40)
                                .part(TokenPart.TEXT_OUTPUT, 7)
                                .part(TokenPart.CACHE_CREATION_INPUT, 5)
                                .build())
                        .getNativeUsage();

        assertThat(record.inputTokensDetails()).isEqualTo(new DashScopeApiSpec.InputTokenDetailed(10, 20, 30));
        assertThat(record.imageTokens()).isEqualTo(20);
        assertThat(record.audioTokens()).isEqualTo(30);
        assertThat(record.videoTokens()).isEqualTo(40);
        assertThat(record.outputTokensDetails().text()).isEqualTo(7);
        assertThat(record.promptTokenDetailed().cacheCreationInputTokens()).isEqualTo(5);
        assertThat(record.seconds()).isNull();
    }

    @Test
    @DisplayName("T14: has no details where no part was reported")
    void noDetails() {
        DashScopeApiSpec.TokenUsage record = (DashScopeApiSpec.TokenUsage)
                DashScopeUsages.toDashScope(TokenUsage.of(1, 2)).getNativeUsage();

        assertThat(record)
                .isEqualTo(new DashScopeApiSpec.TokenUsage(2, 1, 3, null, null, null, null, null, null, null));
    }

    @Test
    @DisplayName("T17: stays at the greatest int where the totals are beyond it, parts too")
    void clamps() {
        long much = Integer.MAX_VALUE + 5L;
        DashScopeApiSpec.TokenUsage record =
                (DashScopeApiSpec.TokenUsage) DashScopeUsages.toDashScope(TokenUsage.builder()
                                .inputTokens(much)
                                .outputTokens(much)
                                .part(TokenPart.CACHE_READ_INPUT, much)
                                .part(TokenPart.REASONING_OUTPUT, much)
                                .build())
                        .getNativeUsage();

        assertThat(record.inputTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(record.outputTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(record.totalTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(record.promptTokenDetailed().cachedTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(record.outputTokensDetails().image()).isEqualTo(Integer.MAX_VALUE);
    }
}
