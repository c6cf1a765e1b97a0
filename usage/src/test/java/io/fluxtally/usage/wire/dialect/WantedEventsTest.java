package io.fluxtally.usage.wire.dialect;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WantedEventsTest {

    private static final JsonBytes.Fields FIELDS = new JsonBytes.Fields(
            JsonBytes.Field.of("usage"),
            JsonBytes.Field.of("finish_reason"),
            new JsonBytes.Field(JsonBytes.quoted("index"), '0'),
            JsonBytes.Field.orString("message_stop"));

    private static final ObjectMapper JSON = new ObjectMapper();

    private final WantedEvents events = new WantedEvents(FIELDS);

    private static boolean isWanted(WantedEvents events, String event) {
        byte[] json = event.getBytes(UTF_8);
        return events.contain(json, json.length);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"index\":0,\"content\":\"b\"}",
                "{\"index\":0,\"content\":\"\"}",
                "{\"index\":0,\"content\":\"line\\n\\\"usage\\\":1\"}",
                "{\"index\":0,\"content\":\"usage\"}",
                "{\"index\":0,\"content\":\"\\\\\"}",
                "{\"index\":0,\"content\":\"晴れ\"}"
            })
    @DisplayName("an event that differs from one that was passed over in its text alone is passed over")
    void textAlone(String event) {
        assertThat(isWanted(events, "{\"index\":0,\"content\":\"a\"}")).isFalse();

        assertThat(isWanted(events, event)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"index\":1,\"content\":\"a\"}",
                "{\"index\":0,\"content\":\"b\",\"usage\":{}}",
                "{\"index\":0,\"content\":\"\\\\\",\"finish_reason\":\"stop\"}",
                "{\"index\":0,\"type\":\"message_stop\"}"
            })
    @DisplayName("an event that has a field more, or another value in one, is wanted")
    void anotherField(String event) {
        assertThat(isWanted(events, "{\"index\":0,\"content\":\"a\"}")).isFalse();

        assertThat(isWanted(events, event)).isTrue();
    }

    @Provide
    Arbitrary<List<String>> stream() {
        Arbitrary<String> text = Arbitraries.of(
                "", "a", "rain of the forecast", "上海", "\\n", "\\\"", "\\\\", "\\\\\\\"", "usage", "message_stop");
        Arbitrary<String> name = often("content", "delta", "arguments", "text", "other");
        Arbitrary<String> more =
                often("", ",\"usage\":{\"x_tokens\":1}", ",\"usage\":null", ",\"b\":{\"finish_reason\":\"stop\"}");
        Arbitrary<String> event = Combinators.combine(
                        often("0", "1"),
                        name,
                        text,
                        text,
                        often("null", "\"stop\""),
                        often("delta", "message_stop"),
                        more)
                .as((index, field, one, other, finish, type, last) ->
                        "{\"type\":\"%s\",\"index\":%s,\"%s\":\"%s%s\",\"finish_reason\":%s%s}"
                                .formatted(type, index, field, one, other, finish, last));
        return event.list().ofMaxSize(12);
    }

    private static Arbitrary<String> often(String usual, String... seldom) {
        return Arbitraries.frequencyOf(Tuple.of(8, Arbitraries.just(usual)), Tuple.of(1, Arbitraries.of(seldom)));
    }

    @Property(tries = 3000)
    @Label("no event of a stream is passed over that has one of the fields")
    void noneIsLost(@ForAll("stream") List<String> stream) throws JsonProcessingException {
        WantedEvents wanted = new WantedEvents(FIELDS);
        for (String event : stream) {
            boolean isWanted = isWanted(wanted, event);

            if (hasField(event)) {
                assertThat(isWanted).as(event).isTrue();
            }
        }
    }

    private static boolean hasField(String event) throws JsonProcessingException {
        var json = JSON.readTree(event);
        return json.path("index").asInt() != 0
                || json.path("type").asText().equals("message_stop")
                || json.findValues("usage").stream().anyMatch(value -> !value.isNull())
                || json.findValues("finish_reason").stream().anyMatch(value -> !value.isNull());
    }
}
