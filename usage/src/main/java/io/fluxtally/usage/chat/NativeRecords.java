package io.fluxtally.usage.chat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.UsageDocument;
import io.fluxtally.usage.wire.dialect.AnthropicDialect;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.OpenAiDialect;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/**
 * Reads the records in which Spring AI's clients keep a provider's usage: they have the shape of the JSON they were read
 * from, so the provider's dialect reads them. What a record has no field for, the client has dropped.
 */
final class NativeRecords {

    private static final String PART = "a client's usage record";

    private static final Map<String, Dialect> DIALECTS = Map.of(
            "org.springframework.ai.openai.api.OpenAiApi$Usage", new OpenAiDialect(),
            "org.springframework.ai.deepseek.api.DeepSeekApi$Usage", new OpenAiDialect(),
            "org.springframework.ai.mistralai.api.MistralAiApi$Usage", new OpenAiDialect(),
            "org.springframework.ai.zhipuai.api.ZhiPuAiApi$Usage", new OpenAiDialect(),
            "org.springframework.ai.anthropic.api.AnthropicApi$Usage", new AnthropicDialect());

    private static final ObjectMapper JSON = new ObjectMapper();

    private NativeRecords() {}

    /** The tokens of a usage by the client's record of it, or null if it has none that is known. */
    static @Nullable TokenUsage read(Usage usage) {
        Class<?> type = ClientHabit.recordType(usage);
        Dialect dialect = type == null ? null : DIALECTS.get(type.getName());
        if (dialect == null) {
            return null;
        }
        try {
            JsonNode record = JSON.valueToTree(usage.getNativeUsage());
            JsonNode document = JSON.createObjectNode().set("usage", record);
            TokenUsage tokens = UsageDocument.read(dialect, JSON.treeAsTokens(document));
            return tokens == null || tokens.totalTokens() == 0 ? null : tokens;
        } catch (Exception | LinkageError failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }
}
