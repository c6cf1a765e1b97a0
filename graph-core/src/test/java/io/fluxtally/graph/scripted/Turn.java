package io.fluxtally.graph.scripted;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;

/**
 * One answer of a model and what it is billed.
 *
 * @param text the text, chunk by chunk
 * @param toolCalls the tools it asks for, on the last chunk
 * @param input the input tokens billed
 * @param output the output tokens billed
 */
public record Turn(List<String> text, List<ToolCall> toolCalls, int input, int output) {

    /** The model that answers, by its own account. */
    public static final String MODEL = "scripted-1";

    /** An answer without tools. */
    public static Turn says(int input, int output, String... text) {
        return new Turn(List.of(text), List.of(), input, output);
    }

    /** An answer that asks for tools, all without arguments. */
    public static Turn asks(int input, int output, String... tools) {
        List<ToolCall> calls = new ArrayList<>();
        for (String tool : tools) {
            calls.add(new ToolCall("call-" + calls.size() + "-" + tool, "function", tool, "{}"));
        }
        return new Turn(List.of("Let ", "me ", "see."), calls, input, output);
    }

    /** The whole answer at once. */
    public ChatResponse whole(@Nullable String id) {
        return response(id, String.join("", text), true, new DefaultUsage(input, output));
    }

    /** The answer in chunks. */
    public List<ChatResponse> chunks(@Nullable String id, UsageAt usageAt) {
        List<ChatResponse> chunks = new ArrayList<>();
        int count = text.size();
        for (int i = 0; i < count; i++) {
            boolean last = i == count - 1;
            boolean withUsage = switch (usageAt) {
                case USAGE_ONLY_CHUNK -> false;
                case LAST_CONTENT_CHUNK, TWO_CHUNKS -> last;
                case EVERY_CHUNK -> true;
            };
            Usage usage = withUsage ? new DefaultUsage(input, last ? output : output * (i + 1) / (count + 1)) : null;
            chunks.add(response(id, text.get(i), last, usage));
        }
        if (usageAt == UsageAt.USAGE_ONLY_CHUNK || usageAt == UsageAt.TWO_CHUNKS) {
            chunks.add(new ChatResponse(List.of(), metadata(id, new DefaultUsage(input, output))));
        }
        return chunks;
    }

    private ChatResponse response(@Nullable String id, String content, boolean last, @Nullable Usage usage) {
        AssistantMessage message = AssistantMessage.builder()
                .content(content)
                .toolCalls(last ? toolCalls : List.of())
                .build();
        String reason = !last ? "" : toolCalls.isEmpty() ? "stop" : "tool_calls";
        return new ChatResponse(
                List.of(new Generation(
                        message,
                        ChatGenerationMetadata.builder().finishReason(reason).build())),
                metadata(id, usage));
    }

    private static ChatResponseMetadata metadata(@Nullable String id, @Nullable Usage usage) {
        ChatResponseMetadata.Builder metadata = ChatResponseMetadata.builder().model(MODEL);
        Stream.ofNullable(id).forEach(metadata::id);
        Stream.ofNullable(usage).forEach(metadata::usage);
        return metadata.build();
    }
}
