package io.fluxtally.graph.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage.ToolResponse;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.content.Media;
import org.springframework.util.MimeTypeUtils;

/** Spring AI's messages as JSON. */
final class Messages {

    private static final String USER = "user_message";
    private static final String SYSTEM = "system_message";
    private static final String ASSISTANT = "assistant_message";
    private static final String TOOL_RESPONSE = "tool_response_message";
    private static final Set<String> NAMES = Set.of(USER, SYSTEM, ASSISTANT, TOOL_RESPONSE);

    /** A message puts its own type there. */
    private static final String OWN_TYPE = "messageType";

    private Messages() {}

    static boolean has(String name) {
        return NAMES.contains(name);
    }

    /** The name of the kind of message that a value is, or null if it is none. */
    static @Nullable String nameOf(Object value) {
        if (value instanceof UserMessage) {
            return USER;
        }
        if (value instanceof SystemMessage) {
            return SYSTEM;
        }
        if (value instanceof AssistantMessage) {
            return ASSISTANT;
        }
        return value instanceof ToolResponseMessage ? TOOL_RESPONSE : null;
    }

    static ObjectNode write(Object value, StateSerializer serializer) {
        Message message = (Message) value;
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        if (message.getText() != null) {
            json.put("text", message.getText());
        }
        message.getMetadata().forEach((key, element) -> {
            JsonNode written = key.equals(OWN_TYPE) ? null : serializer.writeIfKnown(element);
            if (written != null) {
                json.withObjectProperty("metadata").set(key, written);
            }
        });
        if (message instanceof UserMessage user) {
            writeMedia(user.getMedia(), json, serializer);
        } else if (message instanceof AssistantMessage assistant) {
            writeMedia(assistant.getMedia(), json, serializer);
            assistant
                    .getToolCalls()
                    .forEach(call -> json.withArray("tool_calls")
                            .addObject()
                            .put("id", call.id())
                            .put("type", call.type())
                            .put("name", call.name())
                            .put("arguments", call.arguments()));
        } else if (message instanceof ToolResponseMessage tool) {
            tool.getResponses()
                    .forEach(response -> json.withArray("responses")
                            .addObject()
                            .put("id", response.id())
                            .put("name", response.name())
                            .put("data", response.responseData()));
        }
        return json;
    }

    private static void writeMedia(List<Media> media, ObjectNode json, StateSerializer serializer) {
        for (Media each : media) {
            ObjectNode element = json.withArray("media").addObject();
            element.put("mime_type", each.getMimeType().toString())
                    .put("id", each.getId())
                    .put("name", each.getName())
                    .set("data", serializer.write(each.getData()));
        }
    }

    static Message read(String name, JsonNode json, StateSerializer serializer) {
        Map<String, Object> metadata = metadata(json.path("metadata"), serializer);
        String text = textOf(json, "text");
        return switch (name) {
            case USER ->
                UserMessage.builder()
                        .text(Objects.requireNonNullElse(text, ""))
                        .media(media(json, serializer))
                        .metadata(metadata)
                        .build();
            case SYSTEM ->
                SystemMessage.builder()
                        .text(Objects.requireNonNullElse(text, ""))
                        .metadata(metadata)
                        .build();
            case ASSISTANT ->
                AssistantMessage.builder()
                        .content(text)
                        .properties(metadata)
                        .toolCalls(toolCalls(json))
                        .media(media(json, serializer))
                        .build();
            default ->
                ToolResponseMessage.builder()
                        .responses(responses(json))
                        .metadata(metadata)
                        .build();
        };
    }

    private static Map<String, Object> metadata(JsonNode json, StateSerializer serializer) {
        Map<String, Object> metadata = new HashMap<>();
        json.properties().forEach(field -> {
            Object value = serializer.read(field.getValue());
            if (value != null) {
                metadata.put(field.getKey(), value);
            }
        });
        return metadata;
    }

    private static List<Media> media(JsonNode json, StateSerializer serializer) {
        List<Media> media = new ArrayList<>();
        for (JsonNode element : json.path("media")) {
            media.add(Media.builder()
                    .mimeType(MimeTypeUtils.parseMimeType(
                            element.path("mime_type").asText()))
                    .data(Objects.requireNonNull(serializer.read(element.path("data")), "data"))
                    .id(textOf(element, "id"))
                    .name(textOf(element, "name"))
                    .build());
        }
        return media;
    }

    private static List<ToolCall> toolCalls(JsonNode json) {
        List<ToolCall> calls = new ArrayList<>();
        for (JsonNode call : json.path("tool_calls")) {
            calls.add(new ToolCall(
                    textOf(call, "id"), textOf(call, "type"), textOf(call, "name"), textOf(call, "arguments")));
        }
        return calls;
    }

    private static List<ToolResponse> responses(JsonNode json) {
        List<ToolResponse> responses = new ArrayList<>();
        for (JsonNode response : json.path("responses")) {
            responses.add(new ToolResponse(textOf(response, "id"), textOf(response, "name"), textOf(response, "data")));
        }
        return responses;
    }

    private static @Nullable String textOf(JsonNode json, String name) {
        return json.path(name).textValue();
    }
}
