package io.fluxtally.graph.agent;

import io.fluxtally.graph.ChunkJoiner;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.content.Media;

/** Joins the chunks of a model's answer to one assistant message. Chunks without a generation only carry usage. */
final class AssistantMessageJoiner implements ChunkJoiner<ChatResponse> {

    /** The property under which Spring AI's clients hand out reasoning, chunk by chunk like the text. */
    private static final String REASONING = "reasoningContent";

    private final String key;
    private final StringBuilder text = new StringBuilder();
    private final List<AssistantMessage.ToolCall> toolCalls = new ArrayList<>();
    private final List<Media> media = new ArrayList<>();
    private final Map<String, Object> properties = new HashMap<>();
    private final StringBuilder reasoning = new StringBuilder();

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
        media.addAll(message.getMedia());
        properties.putAll(message.getMetadata());
        if (message.getMetadata().get(REASONING) instanceof String added) {
            reasoning.append(added);
        }
        String addedText = message.getText();
        if (addedText == null) {
            return "";
        }
        text.append(addedText);
        return addedText;
    }

    @Override
    public Map<String, ?> update() {
        if (!reasoning.isEmpty()) {
            properties.put(REASONING, reasoning.toString());
        }
        return Map.of(
                key,
                AssistantMessage.builder()
                        .content(text.toString())
                        .properties(properties)
                        .toolCalls(toolCalls)
                        .media(media)
                        .build());
    }
}
