package io.fluxtally.conformance.record;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("The redaction")
class RedactionTest {

    private static final String EVENTS = "text/event-stream";
    private static final String JSON = "application/json";

    private static String redact(String body, String mediaType) {
        Map<String, String> names = new LinkedHashMap<>();
        return BodyRedactor.redact(
                body, mediaType, name -> names.computeIfAbsent(name, unknown -> "tool_" + (names.size() + 1)));
    }

    @Test
    @DisplayName(
            "gives tools other names, the same in all of a run, and empties what they are given, however it is nested")
    void tools() {
        String call =
                "{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"{\\\"a\\\":26}\"}}";

        assertThat(redact(
                        "[" + call.formatted("get_weather") + "," + call.formatted("sell") + ","
                                + call.formatted("get_weather") + "]",
                        JSON))
                .isEqualTo("[" + call.formatted("tool_1").replace("{\\\"a\\\":26}", "{}        ") + ","
                        + call.formatted("tool_2").replace("{\\\"a\\\":26}", "{}        ") + ","
                        + call.formatted("tool_1").replace("{\\\"a\\\":26}", "{}        ") + "]");
        assertThat(redact(
                        "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"pay\",\"input\":{\"to\":[{\"iban\":12}],\"é\":\"}\"}}",
                        JSON))
                .isEqualTo("{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"tool_1\",\"input\":{}"
                        + " ".repeat("\"to\":[{\"iban\":12}],\"é\":\"}\"".length() + 1) + "}");
        assertThat(redact("{\"functionCall\":{\"name\":\"pay\",\"args\":{\"n\":1}}}", JSON))
                .isEqualTo("{\"functionCall\":{\"name\":\"tool_1\",\"args\":{}     }}");
    }

    @Test
    @DisplayName("empties arguments that an answer tells from their start again each time")
    void repeatedArguments() {
        String event = "data:{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%s\"}}]}\n\n";

        assertThat(redact(event.formatted("[1") + event.formatted("[1, 2") + event.formatted("[1, 2]"), EVENTS))
                .isEqualTo(event.formatted("{}") + event.formatted("{}   ") + event.formatted("{}    "));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"id\":\"chatcmpl-1\",\"model\":\"qwen-plus\",\"n\":12,\"ok\":true,\"no\":null} | {\"id\":\"chatcmpl-1\",\"model\":\"qwen-plus\",\"n\":12,\"ok\":true,\"no\":null}",
                "{\"id\":\"alice\",\"model\":\"qwen\"}              | {\"id\":\"xxxxx\",\"model\":\"qwen\"}",
                "{\"id\":\"John Doe\"}                         | {\"id\":\"xxxxxxxx\"}",
                "{\"content\":\"stop\"}                        | {\"content\":\"xxxx\"}",
                "{\"content\":[\"stop\",12,-0.5,{\"type\":\"text\"}]} | {\"content\":[\"xxxx\",11,-1.1,{\"type\":\"text\"}]}",
                "{\"name\":\"alice\",\"server_tool_use\":{\"name\":\"alice\"}} | {\"name\":\"xxxxx\",\"server_tool_use\":{\"name\":\"xxxxx\"}}",
                "{\"role\":[\"stop\"]}                         | {\"role\":[\"xxxx\"]}",
                "{\"two words\":{\"id\":\"a\"},\"é\":1}        | {\"xxxxxxxxx\":{}        ,\"é\":1}",
                "{\"\\u0069d\":\"a\"}                          | {\"\\u0078x\":\"x\"}",
                "{\"text\":\"a\\n\\u00e9\\ud83d\\ude00文é\"}    | {\"text\":\"x\\n\\u00e9\\ud83d\\udcac文é\"}",
                "{\"parsed\":{\"city\":12},\"__verbose\":{\"id\":7}} | {\"parsed\":{}         ,\"__verbose\":{}      }",
                "{\"id\":\"a\",\"id\":\"b\"}                   | xxxxxxxxxxxxxxxxxxx",
                "{\"id\":\"a\"} {}                             | xxxxxxxxxxxxx",
                "\"secret\"                                    | \"xxxxxx\"",
                "12                                            | 11",
            })
    @DisplayName("keeps words of the protocol, ids and figures, and nothing else")
    void values(String json, String redacted) {
        assertThat(redact(json, JSON)).isEqualTo(redacted);
    }

    @Test
    @DisplayName("keeps the form of an event stream, whatever its line ends")
    void events() {
        assertThat(redact(
                        "\ufeffdata: {\"text\":\"a\"}\r\n\r\n:HTTP_STATUS/200\rid: 1\nevent:result\nevent: my word\nretry: 10\n"
                                + "data: {\"text\":\ndata: \"b\"}\nhello\n\ndata: [DONE]\n\ndata: plain\n\ndata:",
                        EVENTS))
                .isEqualTo(
                        "\ufeffdata: {\"text\":\"x\"}\r\n\r\n:xxxxxxxxxxxxxxx\rid: 1\nevent:result\nxxxxxxxxxxxxxx\nretry: 10\n"
                                + "data: {\"text\":\ndata: \"x\"}\nxxxxx\n\ndata: [DONE]\n\ndata: xxxxx\n\ndata:");
    }

    @ParameterizedTest
    @ValueSource(strings = {"id: alice", "id:alice smith", "retry: soon", "retry:1 day", "event: my word"})
    @DisplayName("keeps of an event's own fields none with a text in it")
    void eventFields(String line) {
        assertThat(redact(line + "\ndata: 1\n\n", EVENTS)).isEqualTo("x".repeat(line.length()) + "\ndata: 1\n\n");
    }

    @Test
    @DisplayName("takes lines of JSON one by one")
    void lines() {
        assertThat(redact(
                        "{\"created_at\":\"2026-01-01T08:00:01.123456Z\",\"response\":\"a\",\"context\":[1,22]}\n\nno\n{\"done\":true}",
                        "application/x-ndjson"))
                .isEqualTo(
                        "{\"created_at\":\"2026-01-01T08:00:01.123456Z\",\"response\":\"x\",\"context\":[]    }\n\nxx\n{\"done\":true}");
    }

    @Test
    @DisplayName("does not choke on what is nested too deep to be parsed")
    void deep() {
        String deep = "[".repeat(20_000) + "\"secret\"" + "]".repeat(20_000);

        assertThat(redact(deep, JSON)).doesNotContain("secret").hasSameSizeAs(deep);
    }
}
