package io.fluxtally.bedrock;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.NativeUsageReader;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * Reads the record of the AWS SDK that Bedrock's client reports in streams, with its cached tokens in the input. Found by
 * service loader.
 */
public final class BedrockUsageReader implements NativeUsageReader {

    /** For the service loader. */
    public BedrockUsageReader() {}

    @Override
    public @Nullable TokenUsage read(Usage usage) {
        if (!(usage.getNativeUsage()
                instanceof software.amazon.awssdk.services.bedrockruntime.model.TokenUsage record)) {
            return null;
        }
        long read = orZero(record.cacheReadInputTokens());
        long written = orZero(record.cacheWriteInputTokens());
        long input = orZero(record.inputTokens()) + read + written;
        long output = orZero(record.outputTokens());
        TokenUsage.Builder tokens = TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .totalTokens(Math.max(input + output, orZero(record.totalTokens())));
        if (record.cacheReadInputTokens() != null) {
            tokens.part(TokenPart.CACHE_READ_INPUT, read);
        }
        if (record.cacheWriteInputTokens() != null) {
            tokens.part(TokenPart.CACHE_CREATION_INPUT, written);
        }
        return input + output == 0 ? null : tokens.build();
    }

    private static long orZero(@Nullable Integer tokens) {
        return tokens == null || tokens < 0 ? 0 : tokens;
    }
}
