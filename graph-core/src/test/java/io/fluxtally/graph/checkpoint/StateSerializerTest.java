package io.fluxtally.graph.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage.ToolResponse;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.content.Media;
import org.springframework.util.MimeType;
import org.springframework.util.MimeTypeUtils;

@DisplayName("a value of a state")
class StateSerializerTest {

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private enum Size {
        SMALL
    }

    private record Order(String item, int pieces, List<Size> sizes) {}

    private static final StateSerializer SERIALIZER =
            StateSerializer.DEFAULT.with("order", Order.class).with("size", Size.class);

    private static @Nullable Object throughText(@Nullable Object value) throws JsonProcessingException {
        return SERIALIZER.read(MAPPER.readTree(SERIALIZER.write(value).toString()));
    }

    static Stream<Object> values() {
        return Stream.of(
                "text",
                "",
                true,
                1,
                Integer.MIN_VALUE,
                1L,
                Long.MAX_VALUE,
                (short) 3,
                (byte) 4,
                'c',
                1.0,
                1e300,
                -0.0,
                Double.NaN,
                Double.NEGATIVE_INFINITY,
                2.5f,
                new BigInteger("123456789012345678901234567890"),
                new BigDecimal("1.2300"),
                UUID.fromString("00000000-0000-0001-0000-000000000002"),
                Instant.parse("2026-01-31T12:00:00.123456789Z"),
                Duration.ofNanos(5),
                LocalDate.parse("2026-01-31"),
                LocalDateTime.parse("2026-01-31T12:00:00"),
                OffsetDateTime.parse("2026-01-31T12:00:00+08:00"),
                List.of(),
                List.of(1, "a", List.of(2L)),
                Arrays.asList("a", null),
                Set.of("a"),
                Map.of("key", Map.of("inner", 1L)),
                Map.of("@type", "a key of the app's", "value", 1),
                new Order("umbrella", 2, List.of(Size.SMALL)),
                Size.SMALL);
    }

    @ParameterizedTest
    @MethodSource("values")
    @DisplayName("comes back as what it was, of the same type")
    void roundTrip(Object value) throws JsonProcessingException {
        Object again = throughText(value);

        assertThat(again).isEqualTo(value);
        assertThat(SERIALIZER.write(again)).isEqualTo(SERIALIZER.write(value));
    }

    @Test
    @DisplayName("may be nothing, or bytes")
    void nothingAndBytes() throws JsonProcessingException {
        assertThat(throughText(null)).isNull();
        assertThat((byte[]) throughText(new byte[] {1, -1})).containsExactly(1, -1);
    }

    @Test
    @DisplayName("is not changed by whoever reads it")
    void unmodifiable() throws JsonProcessingException {
        assertThatThrownBy(() -> ((List<?>) throughText(List.of(1))).clear())
                .isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> ((Map<?, ?>) throughText(Map.of("a", 1))).clear())
                .isInstanceOf(UnsupportedOperationException.class);
    }

    static Stream<Message> messages() {
        Media link = Media.builder()
                .mimeType(MimeTypeUtils.IMAGE_PNG)
                .data(URI.create("http://127.0.0.1/a.png"))
                .id("m1")
                .name("a picture")
                .build();
        Media bytes = Media.builder()
                .mimeType(MimeTypeUtils.IMAGE_PNG)
                .data(new byte[] {1, 2})
                .name("another")
                .build();
        return Stream.of(
                new UserMessage("Umbrella?"),
                UserMessage.builder()
                        .text("What is this?")
                        .media(link, bytes)
                        .metadata(Map.of("user", "u1", "@type", "x"))
                        .build(),
                SystemMessage.builder()
                        .text("Be brief.")
                        .metadata(Map.of("v", 3L))
                        .build(),
                new AssistantMessage("Yes."),
                AssistantMessage.builder()
                        .content("")
                        .properties(Map.of("reasoningContent", "it rains", "thoughtSignatures", List.of("a")))
                        .toolCalls(List.of(new ToolCall("c1", "function", "weather", "{\"city\":\"Oslo\"}")))
                        .media(List.of(bytes))
                        .build(),
                ToolResponseMessage.builder()
                        .responses(List.of(new ToolResponse("c1", "weather", "rain")))
                        .metadata(Map.of("tried", 1))
                        .build());
    }

    @ParameterizedTest
    @MethodSource("messages")
    @DisplayName("may be a message, with its metadata, media and tool calls")
    void message(Message message) throws JsonProcessingException {
        Message again = (Message) throughText(message);

        assertThat(again)
                .usingRecursiveComparison()
                .withEqualsForType(MimeType::equals, MimeType.class)
                .isEqualTo(message);
        assertThat(again).hasSameClassAs(message);
    }

    @Test
    @DisplayName("is a message without such metadata as only its client knows")
    void foreignMetadata() throws JsonProcessingException {
        Message again = (Message) throughText(AssistantMessage.builder()
                .content("Yes.")
                .properties(Map.of("kept", 1, "foreign", Locale.ROOT))
                .build());

        assertThat(again.getMetadata()).containsEntry("kept", 1).doesNotContainKey("foreign");
    }

    @Test
    @DisplayName("of a type that is not registered is an error that names the type and not the value")
    void unknownType() throws JsonProcessingException {
        assertThatThrownBy(() -> StateSerializer.DEFAULT.write(List.of(new Order("secret", 1, List.of()))))
                .isInstanceOf(CheckpointException.class)
                .hasMessage(
                        "a value of type %s cannot be saved: register the type with the StateSerializer, or keep it out of the state"
                                .formatted(Order.class.getName()));
        assertThatThrownBy(() -> StateSerializer.DEFAULT.write(Map.of(1, "a")))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("the keys of a map must be texts to be saved, but one is a java.lang.Integer");
        assertThatThrownBy(() -> StateSerializer.DEFAULT.read(MAPPER.readTree("{\"@type\":\"order\",\"value\":{}}")))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("a value of the type \"order\" cannot be read: register the type with the StateSerializer");
    }

    @Test
    @DisplayName("has one name for its type, and each name stands for one")
    void names() {
        assertThatThrownBy(() -> SERIALIZER.with("order", Locale.class))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("name must not be blank or taken, but is \"order\"");
        for (String taken : List.of("", "long", "map", "set", "user_message")) {
            assertThatThrownBy(() -> SERIALIZER.with(taken, Locale.class)).hasMessageContaining("blank or taken");
        }
        assertThatThrownBy(() -> SERIALIZER.with("orders", Order.class))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("type %s has a name already".formatted(Order.class.getName()));
    }
}
