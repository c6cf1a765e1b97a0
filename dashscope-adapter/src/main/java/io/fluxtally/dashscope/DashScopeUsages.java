package io.fluxtally.dashscope;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.dialect.UsageFigures;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Converts between DashScope's usage record and {@link TokenUsage}.
 *
 * <p>The record is that of {@code spring-ai-alibaba-dashscope} 1.1.2.2, whose component for the JSON field
 * {@code reasoning_tokens} is misnamed {@code image}.
 */
public final class DashScopeUsages {

    private DashScopeUsages() {}

    /**
     * DashScope's figures with every part that they have, or null if they have none. Counts that are missing beside their
     * details are the sums of these, as speech recognition reports them.
     */
    public static @Nullable TokenUsage toTokenUsage(DashScopeApiSpec.TokenUsage usage) {
        UsageFigures figures = new UsageFigures();
        figures.input(orAbsent(usage.inputTokens()));
        figures.output(orAbsent(usage.outputTokens()));
        figures.total(orAbsent(usage.totalTokens()));
        var input = usage.inputTokensDetails();
        if (input != null) {
            figures.part(TokenPart.TEXT_INPUT, orAbsent(input.text()));
            figures.part(TokenPart.IMAGE_INPUT, orAbsent(input.image()));
            figures.part(TokenPart.AUDIO_INPUT, orAbsent(input.audio()));
        }
        figures.partIfAbsent(TokenPart.IMAGE_INPUT, orAbsent(usage.imageTokens()));
        figures.partIfAbsent(TokenPart.AUDIO_INPUT, orAbsent(usage.audioTokens()));
        figures.partIfAbsent(TokenPart.VIDEO_INPUT, orAbsent(usage.videoTokens()));
        var output = usage.outputTokensDetails();
        if (output != null) {
            figures.part(TokenPart.TEXT_OUTPUT, orAbsent(output.text()));
            figures.part(TokenPart.REASONING_OUTPUT, orAbsent(output.image()));
        }
        var prompt = usage.promptTokenDetailed();
        if (prompt != null) {
            figures.part(TokenPart.CACHE_READ_INPUT, orAbsent(prompt.cachedTokens()));
            figures.part(TokenPart.CACHE_CREATION_INPUT, orAbsent(prompt.cacheCreationInputTokens()));
            if (prompt.cacheCreation() != null) {
                figures.partIfAbsent(
                        TokenPart.CACHE_CREATION_INPUT,
                        orAbsent(prompt.cacheCreation().ephemeral_5m_input_tokens()));
            }
        }
        figures.countFromModalities();
        return figures.toUsage();
    }

    /**
     * The way back: totals as DashScope's own usage type, so that code which casts to it goes on working. A part that is
     * absent is null there; a count beyond the range of {@code Integer} is {@link Integer#MAX_VALUE}.
     */
    public static DashScopeAiUsage toDashScope(TokenUsage usage) {
        return DashScopeAiUsage.from(toNative(usage));
    }

    private static DashScopeApiSpec.TokenUsage toNative(TokenUsage usage) {
        Integer image = part(usage, TokenPart.IMAGE_INPUT);
        Integer audio = part(usage, TokenPart.AUDIO_INPUT);
        return new DashScopeApiSpec.TokenUsage(
                usage.getCompletionTokens(),
                usage.getPromptTokens(),
                usage.getTotalTokens(),
                image,
                part(usage, TokenPart.VIDEO_INPUT),
                audio,
                null,
                has(usage, TokenPart.TEXT_INPUT, TokenPart.IMAGE_INPUT, TokenPart.AUDIO_INPUT)
                        ? new DashScopeApiSpec.InputTokenDetailed(part(usage, TokenPart.TEXT_INPUT), image, audio)
                        : null,
                has(usage, TokenPart.TEXT_OUTPUT, TokenPart.REASONING_OUTPUT)
                        ? new DashScopeApiSpec.OutputTokenDetailed(
                                part(usage, TokenPart.TEXT_OUTPUT), part(usage, TokenPart.REASONING_OUTPUT))
                        : null,
                has(usage, TokenPart.CACHE_READ_INPUT, TokenPart.CACHE_CREATION_INPUT)
                        ? new DashScopeApiSpec.PromptTokenDetailed(
                                part(usage, TokenPart.CACHE_READ_INPUT),
                                null,
                                part(usage, TokenPart.CACHE_CREATION_INPUT),
                                null)
                        : null);
    }

    private static boolean has(TokenUsage usage, TokenPart... parts) {
        return Stream.of(parts).anyMatch(part -> usage.part(part).isPresent());
    }

    private static @Nullable Integer part(TokenUsage usage, TokenPart part) {
        var tokens = usage.part(part);
        return tokens.isPresent() ? Integer.valueOf((int) Math.min(tokens.getAsLong(), Integer.MAX_VALUE)) : null;
    }

    private static long orAbsent(@Nullable Integer tokens) {
        return tokens == null ? -1 : tokens;
    }
}
