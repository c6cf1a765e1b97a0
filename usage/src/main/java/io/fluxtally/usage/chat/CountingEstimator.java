package io.fluxtally.usage.chat;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tokenizer.TokenCountEstimator;
import org.springframework.ai.tool.ToolCallback;

/** Counts the texts of a prompt and of an answer. */
record CountingEstimator(TokenCountEstimator counter) implements UsageEstimator {

    /** What OpenAI's chat format adds to each message, and once to begin the answer, by OpenAI's cookbook. */
    private static final int TOKENS_PER_MESSAGE = 3;

    private static final int TOKENS_TO_BEGIN = 3;

    @Override
    public long inputTokens(Prompt prompt) {
        long tokens = TOKENS_TO_BEGIN;
        for (Message message : prompt.getInstructions()) {
            tokens += TOKENS_PER_MESSAGE + count(message.getText());
            if (message instanceof AssistantMessage assistant) {
                tokens += toolCalls(assistant);
            } else if (message instanceof ToolResponseMessage responses) {
                tokens += responses.getResponses().stream()
                        .mapToLong(response -> count(response.responseData()))
                        .sum();
            }
        }
        if (prompt.getOptions() instanceof ToolCallingChatOptions options) {
            tokens += tools(options.getToolCallbacks());
        }
        return tokens;
    }

    @Override
    public long outputTokens(AssistantMessage piece) {
        return count(piece.getText()) + toolCalls(piece);
    }

    private long toolCalls(AssistantMessage message) {
        return message.getToolCalls().stream()
                .mapToLong(call -> count(call.name()) + count(call.arguments()))
                .sum();
    }

    private long tools(@Nullable List<ToolCallback> tools) {
        return tools == null
                ? 0
                : tools.stream()
                        .map(ToolCallback::getToolDefinition)
                        .mapToLong(tool -> count(tool.name()) + count(tool.description()) + count(tool.inputSchema()))
                        .sum();
    }

    private long count(@Nullable String text) {
        return text == null || text.isEmpty() ? 0 : counter.estimate(text);
    }
}
