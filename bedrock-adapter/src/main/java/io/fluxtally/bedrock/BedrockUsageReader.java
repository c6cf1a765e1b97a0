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

    private static final String RECORD = "software.amazon.awssdk.services.bedrockruntime.model.TokenUsage";

    /** For the service loader. */
    public BedrockUsageReader() {}

    /** Told by name first: where there is no AWS SDK, there is no such class to ask for. */
    @Override
    public @Nullable TokenUsage read(Usage usage) {
        Object nativeUsage = usage.getNativeUsage();
        return nativeUsage != null && nativeUsage.getClass().getName().equals(RECORD) ? tokens(nativeUsage) : null;
    }

    private static @Nullable TokenUsage tokens(Object nativeUsage) {
        if (!(nativeUsage instanceof software.amazon.awssdk.services.bedrockruntime.model.TokenUsage record)) {
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
