package io.fluxtally.graph.agent;

import io.fluxtally.graph.ChunkJoiner;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
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

    /**
     * The message of a response that an agent goes on with, or null. It is the one that calls tools, as for Spring AI's own
     * tool loop, since Anthropic's client hands out text and tool calls of one answer as two generations; else the first.
     */
    static @Nullable AssistantMessage answer(ChatResponse response) {
        AssistantMessage first = null;
        for (Generation generation : response.getResults()) {
            AssistantMessage message = generation.getOutput();
            if (message.hasToolCalls()) {
                return message;
            }
            first = first == null ? message : first;
        }
        return first;
    }

    @Override
    public String add(ChatResponse chunk) {
        AssistantMessage message = answer(chunk);
        if (message == null) {
            return "";
        }
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
