package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import java.util.ArrayList;
import java.util.List;
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
 * @param error whether it breaks after its first chunk; a blocking one has used what it was billed all the same
 */
record Turn(List<String> text, List<ToolCall> toolCalls, int input, int output, boolean error) {

    static Turn says(int input, int output, String... text) {
        return new Turn(List.of(text), List.of(), input, output, false);
    }

    static Turn asks(int input, int output, ToolCall... calls) {
        return new Turn(List.of("Let ", "me ", "see."), List.of(calls), input, output, false);
    }

    static Turn asks(int input, int output, String tool) {
        return asks(input, output, new ToolCall("call-%s-%d".formatted(tool, input), "function", tool, "{}"));
    }

    static Turn breaks(int input, int output) {
        return new Turn(List.of("Let ", "me"), List.of(), input, output, true);
    }

    /** The three rounds of the table: 7,000 + 11,000 + 8,500 tokens. */
    static Turn[] threeRounds(String tool) {
        return new Turn[] {
            asks(5_000, 2_000, tool), asks(8_000, 3_000, tool), says(6_000, 2_500, "Take ", "an ", "umbrella.")
        };
    }

    ChatResponse whole(String id, boolean dashScope) {
        return response(id, String.join("", text), true, usage(output, dashScope));
    }

    List<ChatResponse> chunks(String id, UsageAt at, boolean dashScope) {
        List<ChatResponse> chunks = new ArrayList<>();
        int count = text.size();
        for (int i = 0; i < count; i++) {
            boolean last = i == count - 1;
            boolean with = switch (at) {
                case USAGE_ONLY -> false;
                case LAST_CONTENT, TWICE -> last;
                case RUNNING -> true;
            };
            chunks.add(response(
                    id,
                    text.get(i),
                    last,
                    with ? usage(last ? output : output * (i + 1) / (count + 1), dashScope) : null));
        }
        if (at == UsageAt.USAGE_ONLY || at == UsageAt.TWICE) {
            chunks.add(new ChatResponse(List.of(), metadata(id, usage(output, dashScope))));
        }
        return error ? chunks.subList(0, 1) : chunks;
    }

    private Usage usage(int outputTokens, boolean dashScope) {
        if (!dashScope) {
            return new DefaultUsage(input, outputTokens);
        }
        return DashScopeAiUsage.from(new DashScopeApiSpec.TokenUsage(
                outputTokens,
                input,
                input + outputTokens,
                null,
                null,
                null,
                null,
                new DashScopeApiSpec.InputTokenDetailed(input - 10, 7, 3),
                new DashScopeApiSpec.OutputTokenDetailed(outputTokens - 1, 1),
                new DashScopeApiSpec.PromptTokenDetailed(100, null, null, null)));
    }

    private ChatResponse response(String id, String content, boolean last, Usage usage) {
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

    private static ChatResponseMetadata metadata(String id, Usage usage) {
        ChatResponseMetadata.Builder metadata =
                ChatResponseMetadata.builder().model("scripted-1").id(id);
        if (usage != null) {
            metadata.usage(usage);
        }
        return metadata.build();
    }
}
