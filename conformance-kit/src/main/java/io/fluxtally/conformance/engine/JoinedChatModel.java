package io.fluxtally.conformance.engine;

import java.util.ArrayList;
import java.util.List;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/**
 * A model whose blocking answer is one generation. Anthropic's client answers a text and a call of a tool as two, of which
 * Spring AI Alibaba's agent reads the first alone, and stops.
 */
record JoinedChatModel(ChatModel model) implements ChatModel {

    @Override
    public ChatResponse call(Prompt prompt) {
        ChatResponse response = model.call(prompt);
        if (response.getResults().size() < 2 || !response.hasToolCalls()) {
            return response;
        }
        StringBuilder text = new StringBuilder();
        List<ToolCall> toolCalls = new ArrayList<>();
        for (Generation generation : response.getResults()) {
            AssistantMessage part = generation.getOutput();
            if (part.getText() != null) {
                text.append(part.getText());
            }
            toolCalls.addAll(part.getToolCalls());
        }
        AssistantMessage whole = AssistantMessage.builder()
                .content(text.toString())
                .toolCalls(toolCalls)
                .build();
        return new ChatResponse(
                List.of(new Generation(whole, response.getResult().getMetadata())), response.getMetadata());
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return model.stream(prompt);
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return model.getDefaultOptions();
    }
}
