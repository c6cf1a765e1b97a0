package io.fluxtally.usage.chat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.UsageDocument;
import io.fluxtally.usage.wire.dialect.AnthropicDialect;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.GeminiDialect;
import io.fluxtally.usage.wire.dialect.OpenAiDialect;
import java.io.IOException;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * Reads the records in which Spring AI's clients keep a provider's usage: they have the shape of the JSON they were read
 * from, so the provider's dialect reads them. What a record has no field for, the client has dropped.
 */
final class NativeRecords {

    private static final String PART = "a client's usage record";

    private static final ObjectMapper JSON =
            JsonMapper.builder().findAndAddModules().build();

    /** For records whose names are Java's, and not those on the wire. */
    private static final ObjectMapper SNAKE_CASE = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .build();

    private static final Shape OPENAI = new Shape(new OpenAiDialect(), "usage", JSON);

    private static final Map<String, Shape> SHAPES = Map.of(
            "org.springframework.ai.openai.api.OpenAiApi$Usage",
            OPENAI,
            "org.springframework.ai.deepseek.api.DeepSeekApi$Usage",
            OPENAI,
            "org.springframework.ai.mistralai.api.MistralAiApi$Usage",
            OPENAI,
            "org.springframework.ai.zhipuai.api.ZhiPuAiApi$Usage",
            OPENAI,
            "com.azure.ai.openai.models.CompletionsUsage",
            new Shape(new OpenAiDialect(), "usage", SNAKE_CASE),
            "org.springframework.ai.anthropic.api.AnthropicApi$Usage",
            new Shape(new AnthropicDialect(), "usage", JSON),
            "com.google.genai.types.AutoValue_GenerateContentResponseUsageMetadata",
            new Shape(new GeminiDialect(), "usageMetadata", JSON));

    /** How a record is written, and under what field the dialect looks for it. */
    private record Shape(Dialect dialect, String field, ObjectMapper mapper) {

        @Nullable
        TokenUsage read(Object record) throws IOException {
            JsonNode document = mapper.createObjectNode().set(field, mapper.valueToTree(record));
            return UsageDocument.read(dialect, mapper.treeAsTokens(document));
        }
    }

    private NativeRecords() {}

    /** The tokens of a usage by the client's record of it, or null if it has none that is known. */
    static @Nullable TokenUsage read(Usage usage) {
        Object record = usage.getNativeUsage();
        Shape shape = record == null ? null : SHAPES.get(record.getClass().getName());
        if (record == null || shape == null) {
            return null;
        }
        try {
            TokenUsage tokens = shape.read(record);
            return tokens == null || tokens.totalTokens() == 0 ? null : tokens;
        } catch (IOException | RuntimeException | LinkageError failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }
}
