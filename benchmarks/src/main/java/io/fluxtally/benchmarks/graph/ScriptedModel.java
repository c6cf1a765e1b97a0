package io.fluxtally.benchmarks.graph;

import java.util.ArrayList;
import java.util.List;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.DefaultChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import reactor.core.publisher.Flux;

/**
 * A model whose answers are there before they are asked for, so that what is measured is what stands around it. Public,
 * with options of its own: Spring AI Alibaba's agent looks for both.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class ScriptedModel implements ChatModel {

    /** The tool that the model asks for. */
    static final String TOOL = "look";

    private static final int INPUT_TOKENS = 1_000;
    private static final int OUTPUT_TOKENS = 100;

    private final List<ChatResponse> answer;
    private final ChatResponse whole;
    private final ChatResponse call = response("", List.of(new ToolCall("call-1", "function", TOOL, "{}")), true);
    private final int toolRounds;

    private ScriptedModel(List<ChatResponse> answer, int toolRounds) {
        this.answer = answer;
        this.whole = answer.get(answer.size() - 1);
        this.toolRounds = toolRounds;
    }

    /** A model that answers in the given number of chunks of four characters, with the usage on the last. */
    static ScriptedModel answering(int chunks) {
        List<ChatResponse> answer = new ArrayList<>(chunks);
        for (int i = 1; i <= chunks; i++) {
            answer.add(response("text", List.of(), i == chunks));
        }
        return new ScriptedModel(answer, 0);
    }

    /** A model that asks for the tool a number of times, and then answers in one chunk. */
    static ScriptedModel asking(int times) {
        return new ScriptedModel(List.of(response("text", List.of(), true)), times);
    }

    private static ChatResponse response(String text, List<ToolCall> calls, boolean last) {
        AssistantMessage message =
                AssistantMessage.builder().content(text).toolCalls(calls).build();
        ChatResponseMetadata.Builder metadata =
                ChatResponseMetadata.builder().id("response").model("scripted");
        if (last) {
            metadata.usage(new DefaultUsage(INPUT_TOKENS, OUTPUT_TOKENS));
        }
        String reason = !last ? "" : calls.isEmpty() ? "stop" : "tool_calls";
        ChatGenerationMetadata generation =
                ChatGenerationMetadata.builder().finishReason(reason).build();
        return new ChatResponse(List.of(new Generation(message, generation)), metadata.build());
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        return asksForTool(prompt) ? call : whole;
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return asksForTool(prompt) ? Flux.just(call) : Flux.fromIterable(answer);
    }

    private boolean asksForTool(Prompt prompt) {
        if (toolRounds == 0) {
            return false;
        }
        int asked = 0;
        for (Message message : prompt.getInstructions()) {
            asked += message instanceof AssistantMessage ? 1 : 0;
        }
        return asked < toolRounds;
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return toolRounds == 0 ? new DefaultChatOptions() : new DefaultToolCallingChatOptions();
    }
}
