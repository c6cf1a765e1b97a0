package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.metadata.Usage;

class TokenUsageTest {

    private final TokenUsage cached = TokenUsage.builder()
            .inputTokens(5000)
            .outputTokens(2000)
            .part(TokenPart.CACHE_READ_INPUT, 11)
            .build();

    @Test
    @DisplayName("the total is input plus output where the provider reports none")
    void totalByDefault() {
        assertThat(TokenUsage.of(5000, 2000).totalTokens()).isEqualTo(7000);
    }

    @Test
    @DisplayName("T14: the total is the provider's and may exceed input plus output, in a sum too")
    void totalMayExceed() {
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(10)
                .outputTokens(5)
                .totalTokens(40)
                .build();

        assertThat(usage.totalTokens()).isEqualTo(40);
        assertThat(usage.plus(TokenUsage.of(1, 2)).totalTokens()).isEqualTo(43);
    }

    @Test
    @DisplayName("T14: a total of zero that the provider reported stays zero")
    void reportedTotalOfZero() {
        assertThat(TokenUsage.builder().inputTokens(1).totalTokens(0).build().totalTokens())
                .isZero();
    }

    @Test
    @DisplayName("a part that was not reported is absent, and one reported as 0 is 0")
    void absentIsNotZero() {
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 0)
                .build();

        assertThat(usage.cacheReadInputTokens()).hasValue(0);
        assertThat(usage.cacheCreationInputTokens()).isEmpty();
        assertThat(usage.reasoningOutputTokens()).isEmpty();
        assertThat(usage.part(TokenPart.CACHE_READ_INPUT)).hasValue(0);
        assertThat(usage.part(TokenPart.VIDEO_OUTPUT)).isEmpty();
    }

    @Test
    @DisplayName("the named parts are those of the enum")
    void namedParts() {
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(10)
                .outputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 1)
                .part(TokenPart.CACHE_CREATION_INPUT, 2)
                .part(TokenPart.REASONING_OUTPUT, 3)
                .build();

        assertThat(usage.cacheReadInputTokens()).hasValue(1);
        assertThat(usage.cacheCreationInputTokens()).hasValue(2);
        assertThat(usage.reasoningOutputTokens()).hasValue(3);
    }

    @Test
    @DisplayName("absent plus absent is absent, absent plus 5 is 5, 3 plus 5 is 8")
    void sumOfParts() {
        TokenUsage none = TokenUsage.of(10, 0);
        TokenUsage five = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 5)
                .build();
        TokenUsage three = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 3)
                .part(TokenPart.TEXT_INPUT, 7)
                .build();

        assertThat(none.plus(none).cacheReadInputTokens()).isEmpty();
        assertThat(none.plus(five).cacheReadInputTokens()).hasValue(5);
        assertThat(five.plus(none).cacheReadInputTokens()).hasValue(5);
        assertThat(three.plus(five).cacheReadInputTokens()).hasValue(8);
        assertThat(three.plus(five).part(TokenPart.TEXT_INPUT)).hasValue(7);
        assertThat(five.plus(three).part(TokenPart.TEXT_INPUT)).hasValue(7);
    }

    @Test
    @DisplayName("plus does not mutate the original, nor what is added to it")
    void doesNotMutateTheOriginal() {
        TokenUsage other = TokenUsage.builder()
                .inputTokens(20)
                .part(TokenPart.CACHE_READ_INPUT, 9)
                .build();

        TokenUsage sum = cached.plus(other);

        assertThat(sum.cacheReadInputTokens()).hasValue(20);
        assertThat(cached.inputTokens()).isEqualTo(5000);
        assertThat(cached.outputTokens()).isEqualTo(2000);
        assertThat(cached.totalTokens()).isEqualTo(7000);
        assertThat(cached.cacheReadInputTokens()).hasValue(11);
        assertThat(other.inputTokens()).isEqualTo(20);
        assertThat(other.cacheReadInputTokens()).hasValue(9);
    }

    @Test
    @DisplayName("a builder that goes on collecting does not mutate what it has built")
    void builderDoesNotMutateWhatItBuilt() {
        TokenUsage.Builder builder = TokenUsage.builder().inputTokens(10).part(TokenPart.CACHE_READ_INPUT, 1);
        TokenUsage built = builder.build();

        builder.inputTokens(20).part(TokenPart.CACHE_READ_INPUT, 2);

        assertThat(built.inputTokens()).isEqualTo(10);
        assertThat(built.cacheReadInputTokens()).hasValue(1);
    }

    @Test
    @DisplayName("a count beyond the range of long stays at its end and never turns negative")
    void saturates() {
        TokenUsage huge = TokenUsage.builder()
                .inputTokens(Long.MAX_VALUE)
                .outputTokens(1)
                .part(TokenPart.CACHE_READ_INPUT, Long.MAX_VALUE)
                .build();

        assertThat(huge.totalTokens()).isEqualTo(Long.MAX_VALUE);
        TokenUsage sum = huge.plus(huge);
        assertThat(sum.inputTokens()).isEqualTo(Long.MAX_VALUE);
        assertThat(sum.outputTokens()).isEqualTo(2);
        assertThat(sum.totalTokens()).isEqualTo(Long.MAX_VALUE);
        assertThat(sum.cacheReadInputTokens()).hasValue(Long.MAX_VALUE);
    }

    @Test
    @DisplayName("as Spring AI's Usage, input is the prompt and output the completion")
    void asSpringAiUsage() {
        Usage usage = TokenUsage.builder()
                .inputTokens(5000)
                .outputTokens(2000)
                .totalTokens(7100)
                .build();

        assertThat(usage.getPromptTokens()).isEqualTo(5000);
        assertThat(usage.getCompletionTokens()).isEqualTo(2000);
        assertThat(usage.getTotalTokens()).isEqualTo(7100);
        assertThat(usage.getNativeUsage()).isSameAs(usage);
    }

    @Test
    @DisplayName("T17: as Spring AI's Usage, a count beyond the range of int reads as its largest value")
    void clampsToInt() {
        long beyond = Integer.MAX_VALUE + 1L;
        TokenUsage usage = TokenUsage.of(beyond, beyond + 4);

        assertThat(usage.getPromptTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(usage.getCompletionTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(usage.getTotalTokens()).isEqualTo(Integer.MAX_VALUE);
        assertThat(usage.totalTokens()).isEqualTo(2 * beyond + 4);
        assertThat(TokenUsage.of(Integer.MAX_VALUE, 0).getPromptTokens()).isEqualTo(Integer.MAX_VALUE);
    }

    @Test
    @DisplayName("under the names of Spring AI 2.0 the cached parts are null where absent")
    void cachedPartsForSpringAi2() {
        TokenUsage written = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_CREATION_INPUT, 4)
                .build();

        assertThat(cached.getCacheReadInputTokens()).isEqualTo(11L);
        assertThat(cached.getCacheWriteInputTokens()).isNull();
        assertThat(written.getCacheWriteInputTokens()).isEqualTo(4L);
        assertThat(written.getCacheReadInputTokens()).isNull();
    }

    @Test
    @DisplayName("a part that exceeds its whole is refused with its name, the rule and both values")
    void partExceedsWhole() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TokenUsage.builder()
                        .inputTokens(10)
                        .outputTokens(500)
                        .part(TokenPart.CACHE_READ_INPUT, 11)
                        .build())
                .withMessage("cacheReadInputTokens (11) is a part of inputTokens (10) and must not exceed it");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TokenUsage.builder()
                        .inputTokens(500)
                        .outputTokens(10)
                        .part(TokenPart.REASONING_OUTPUT, 11)
                        .build())
                .withMessage("reasoningOutputTokens (11) is a part of outputTokens (10) and must not exceed it");
    }

    @Test
    @DisplayName("a part may be the whole")
    void partEqualsWhole() {
        TokenUsage usage = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 10)
                .build();

        assertThat(usage.cacheReadInputTokens()).hasValue(10);
    }

    @Test
    @DisplayName("a negative count is refused with its name and value")
    void negative() {
        TokenUsage.Builder builder = TokenUsage.builder();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.inputTokens(-1))
                .withMessage("inputTokens must not be negative, but is -1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.outputTokens(-2))
                .withMessage("outputTokens must not be negative, but is -2");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.totalTokens(-3))
                .withMessage("totalTokens must not be negative, but is -3");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder.part(TokenPart.AUDIO_OUTPUT, -4))
                .withMessage("audioOutputTokens must not be negative, but is -4");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TokenUsage.of(0, -5))
                .withMessage("outputTokens must not be negative, but is -5");
    }

    @Test
    @DisplayName("usages with the same counts and parts are equal, and an absent part is not one of 0")
    void equality() {
        TokenUsage same = TokenUsage.builder()
                .outputTokens(2000)
                .inputTokens(5000)
                .totalTokens(7000)
                .part(TokenPart.CACHE_READ_INPUT, 11)
                .build();

        assertThat(same).isEqualTo(cached).hasSameHashCodeAs(cached);
        assertThat(cached)
                .isNotEqualTo(TokenUsage.of(5000, 2000))
                .isNotEqualTo(null)
                .isNotEqualTo("TokenUsage");
        TokenUsage plain = TokenUsage.of(5000, 2000);
        assertThat(plain)
                .isNotEqualTo(TokenUsage.of(5001, 2000))
                .isNotEqualTo(TokenUsage.of(2000, 5000))
                .isNotEqualTo(TokenUsage.builder()
                        .inputTokens(5000)
                        .outputTokens(2000)
                        .totalTokens(7001)
                        .build())
                .isNotEqualTo(TokenUsage.builder()
                        .inputTokens(5000)
                        .outputTokens(2001)
                        .totalTokens(7000)
                        .build())
                .isNotEqualTo(TokenUsage.builder()
                        .inputTokens(5000)
                        .outputTokens(2000)
                        .part(TokenPart.CACHE_READ_INPUT, 0)
                        .build());
    }

    @Test
    @DisplayName("the text names the counts as JSON does and leaves absent parts out")
    void text() {
        assertThat(cached)
                .hasToString("TokenUsage[input_tokens=5000, output_tokens=2000, total_tokens=7000,"
                        + " cache_read_input_tokens=11]");
        assertThat(TokenUsage.ZERO).hasToString("TokenUsage[input_tokens=0, output_tokens=0, total_tokens=0]");
    }
}
