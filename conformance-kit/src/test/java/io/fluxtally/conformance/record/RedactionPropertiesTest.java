package io.fluxtally.conformance.record;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

@Label("the redaction")
class RedactionPropertiesTest {

    private static final String EVENTS = "text/event-stream";
    private static final String JSON = "application/json";

    /** What no output may have. */
    private static final String SECRET = "Quokka";

    private static final long SECRET_NUMBER = 8675309;

    private static final List<ObjectMapper> WRITERS = List.of(
            new ObjectMapper(),
            JsonMapper.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build(),
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build());

    private static String redact(String body, String mediaType) {
        return BodyRedactor.redact(body, mediaType, name -> "tool");
    }

    private static int bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    @Provide
    Arbitrary<Object> values() {
        return anyValue(4);
    }

    /** Texts with the secret in them, and none that has the form of an identifier. */
    private static Arbitrary<String> secrets() {
        return Arbitraries.strings()
                .withChars("ab \"\\\n\t/éß文字,:{}[]")
                .withChars('\u0001', '\u2028')
                .ofMaxLength(8)
                .map(text -> text + SECRET + " 🦘" + text);
    }

    private static Arbitrary<Object> anyValue(int depth) {
        Arbitrary<Object> leaf = Arbitraries.oneOf(
                secrets().map(text -> (Object) text),
                Arbitraries.of("", 17, 0.5, -3, 1e20, true, false),
                Arbitraries.of(Set.of(SECRET_NUMBER))
                        .list()
                        .ofMinSize(1)
                        .ofMaxSize(2)
                        .map(list -> (Object) list));
        if (depth == 0) {
            return leaf;
        }
        Arbitrary<String> names = Arbitraries.frequencyOf(
                Tuple.of(
                        6,
                        Arbitraries.of(
                                "id", "model", "type", "role", "content", "choices", "delta", "text", "code", "usage",
                                "index")),
                Tuple.of(1, Arbitraries.of("arguments", "input", "args", "metadata", "logprobs", "partial_json")),
                Tuple.of(1, secrets()));
        Arbitrary<Object> below = Arbitraries.lazy(() -> anyValue(depth - 1));
        return Arbitraries.oneOf(
                leaf,
                below.list().ofMaxSize(3).map(list -> (Object) list),
                Arbitraries.maps(names, below).ofMaxSize(4).map(map -> (Object) map));
    }

    @Property(tries = 2000)
    @Label("lets no string survive that is not on its list, and keeps length and shape")
    void survives(@ForAll("values") Object value, @ForAll boolean asEvent) throws IOException {
        for (ObjectMapper writer : WRITERS) {
            String json = writer.writeValueAsString(value);
            boolean event = asEvent && !json.contains("\n");
            String body = event ? "data: " + json + "\n\n" : json;

            String redacted = redact(body, event ? EVENTS : JSON);

            assertThat(redacted).doesNotContain(SECRET, Long.toString(SECRET_NUMBER), "🦘");
            assertThat(bytes(redacted)).isEqualTo(bytes(body));
            assertThat(shape(event ? redacted.substring(6) : redacted)).isEqualTo(shape(json));
        }
    }

    /** The tokens of a document, without those inside what is emptied. */
    private static List<String> shape(String json) throws IOException {
        List<String> shape = new ArrayList<>();
        try (JsonParser parser = new JsonFactory().createParser(json)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                shape.add(token.isScalarValue() && token != JsonToken.VALUE_STRING ? "value" : token.name());
                boolean free = token == JsonToken.FIELD_NAME
                        && (Set.of("arguments", "input", "args", "metadata", "logprobs")
                                        .contains(parser.currentName())
                                || !parser.currentName().matches("[a-z_]+"));
                if (free && parser.nextToken().isStructStart()) {
                    parser.skipChildren();
                    shape.add("emptied");
                } else if (free) {
                    shape.add("leaf");
                }
            }
        }
        return shape;
    }

    @Property(tries = 1000)
    @Label("makes what is no JSON filler of the same length")
    void notJson(@ForAll("texts") String text) {
        String body = "{" + text;

        assertThat(redact(body, JSON))
                .doesNotContain(SECRET)
                .hasSameSizeAs(body)
                .satisfies(redacted -> assertThat(bytes(redacted)).isEqualTo(bytes(body)));
        assertThat(redact(body, EVENTS)).doesNotContain(SECRET).hasSameSizeAs(body);
        assertThat(redact(body, "text/html")).doesNotContain(SECRET).hasSameSizeAs(body);
    }

    @Provide
    Arbitrary<String> texts() {
        return secrets().list().ofMaxSize(3).map(list -> String.join("data: ", list));
    }

    @Property(tries = 1000)
    @Label("makes arguments in pieces an empty object, wherever they are cut")
    void pieces(@ForAll("values") Object value, @ForAll @Size(max = 6) List<@IntRange(min = 0, max = 60) Integer> cuts)
            throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        String arguments = mapper.writeValueAsString(Map.of("city", value));
        StringBuilder body = new StringBuilder();
        int start = 0;
        for (int cut : cuts.stream().sorted().toList()) {
            int end = Math.min(cut, arguments.length());
            end += end < arguments.length() && Character.isLowSurrogate(arguments.charAt(end)) ? 1 : 0;
            body.append(piece(mapper, arguments.substring(start, end)));
            start = end;
        }
        body.append(piece(mapper, arguments.substring(start)));

        String redacted = redact(body.toString(), EVENTS);

        StringBuilder joined = new StringBuilder();
        for (String line : redacted.lines().filter(text -> !text.isEmpty()).toList()) {
            joined.append(mapper.readTree(line.substring(5))
                    .at("/choices/0/delta/tool_calls/0/function/arguments")
                    .asText());
        }
        assertThat(joined.toString().strip()).isEqualTo("{}");
        assertThat(bytes(redacted)).isEqualTo(bytes(body.toString()));
    }

    private static String piece(ObjectMapper mapper, String piece) throws IOException {
        return "data:{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"
                + mapper.writeValueAsString(piece) + "}}]}}]}\n\n";
    }
}
