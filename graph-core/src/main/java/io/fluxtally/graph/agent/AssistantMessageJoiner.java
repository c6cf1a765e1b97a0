package io.fluxtally.graph.agent;

import io.fluxtally.graph.ChunkJoiner;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;

/** Joins the chunks of a model's answer to one assistant message. Chunks without a generation only carry usage. */
final class AssistantMessageJoiner implements ChunkJoiner<ChatResponse> {

    private final String key;
    private final StringBuilder text = new StringBuilder();
    private final List<AssistantMessage.ToolCall> toolCalls = new ArrayList<>();
    private final Map<String, Object> properties = new HashMap<>();

    AssistantMessageJoiner(String key) {
        this.key = key;
    }

    @Override
    public String add(ChatResponse chunk) {
        Generation generation = chunk.getResult();
        if (generation == null) {
            return "";
        }
        AssistantMessage message = generation.getOutput();
        toolCalls.addAll(message.getToolCalls());
        properties.putAll(message.getMetadata());
        String added = message.getText();
        if (added == null) {
            return "";
        }
        text.append(added);
        return added;
    }

    @Override
    public Map<String, ?> update() {
        return Map.of(
                key,
                AssistantMessage.builder()
                        .content(text.toString())
                        .properties(properties)
                        .toolCalls(toolCalls)
                        .build());
    }
}
