package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * Reads one provider's usage out of Spring AI's {@code Usage}, with the parts that only its native form has. Found by
 * service loader.
 *
 * <p>Implementations are safe for use by any number of threads.
 */
@FunctionalInterface
public interface NativeUsageReader {

    /**
     * The usage with all its parts, or null if it is not of this provider or holds no figure.
     *
     * @param usage as the client gave it; its getters may return null or throw
     */
    @Nullable
    TokenUsage read(Usage usage);
}
