package io.fluxtally.usage.metrics;

import io.fluxtally.usage.TokenUsage;
import java.util.OptionalLong;
import java.util.function.Function;

/** The token figures of a request that are counted, each in a counter of its own. */
enum TokenCount {
    INPUT(
            "fluxtally.input.tokens",
            "gen_ai.client.inference.usage.input_tokens",
            "Input tokens, cached ones included",
            usage -> OptionalLong.of(usage.inputTokens())),
    OUTPUT(
            "fluxtally.output.tokens",
            "gen_ai.client.inference.usage.output_tokens",
            "Output tokens, reasoning included",
            usage -> OptionalLong.of(usage.outputTokens())),
    CACHE_READ(
            "fluxtally.cache.read.input.tokens",
            "gen_ai.client.inference.usage.cache_read.input_tokens",
            "Part of the input tokens that was read from the provider's cache",
            TokenUsage::cacheReadInputTokens),
    CACHE_CREATION(
            "fluxtally.cache.creation.input.tokens",
            "gen_ai.client.inference.usage.cache_write.input_tokens",
            "Part of the input tokens that was written to the provider's cache",
            TokenUsage::cacheCreationInputTokens),
    REASONING(
            "fluxtally.reasoning.output.tokens",
            "gen_ai.client.inference.usage.reasoning.output_tokens",
            "Part of the output tokens that was spent on reasoning",
            TokenUsage::reasoningOutputTokens);

    static final int COUNT = values().length;

    private final String nativeName;
    private final String otelName;
    private final String description;
    private final Function<TokenUsage, OptionalLong> figure;

    TokenCount(String nativeName, String otelName, String description, Function<TokenUsage, OptionalLong> figure) {
        this.nativeName = nativeName;
        this.otelName = otelName;
        this.description = description;
        this.figure = figure;
    }

    String name(MetricNaming naming) {
        return naming == MetricNaming.NATIVE ? nativeName : otelName;
    }

    String description() {
        return description;
    }

    /** The figure of a usage, or empty if it was not reported. */
    OptionalLong of(TokenUsage usage) {
        return figure.apply(usage);
    }
}
