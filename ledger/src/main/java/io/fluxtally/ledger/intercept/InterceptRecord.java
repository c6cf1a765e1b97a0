package io.fluxtally.ledger.intercept;

import org.jspecify.annotations.Nullable;

/**
 * What an interceptor logged of one response. A figure that it did not log is null, which is not 0.
 *
 * <p>Immutable.
 *
 * @param id the provider's id of the response
 * @param model the model, or null
 * @param promptTokens input, or null
 * @param cachedTokens input read from the provider's cache, or null
 * @param completionTokens output, or null
 * @param reasoningTokens output spent on reasoning, or null
 * @param totalTokens the total, or null
 * @param line the line that it is from, counted from 1 in its file
 */
public record InterceptRecord(
        String id,
        @Nullable String model,
        @Nullable Long promptTokens,
        @Nullable Long cachedTokens,
        @Nullable Long completionTokens,
        @Nullable Long reasoningTokens,
        @Nullable Long totalTokens,
        long line) {}
