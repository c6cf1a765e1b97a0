package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.async.ByteBufferFeeder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class JsonWalkTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    /** An element of an array, which no field's name can be mistaken for. */
    private static final Object ELEMENT = new Object();

    private static final FieldPaths PATHS =
            FieldPaths.of("id", "usage", "usage.in", "choices[]", "choices[].index", "rows[][].x", "rows[][]");

    static Stream<Arguments> documents() {
        return Stream.of(
                arguments(
                        "wanted and unwanted places",
                        "{\"id\":\"a\",\"x\":{\"id\":\"b\",\"usage\":{\"in\":1}},\"usage\":{\"in\":2,\"out\":3}}",
                        List.of("id=a", "usage{", "usage.in=2", "}usage")),
                arguments(
                        "elements of an array",
                        "{\"choices\":[{\"index\":0},{\"x\":[1,{\"index\":5}],\"index\":1}]}",
                        List.of(
                                "choices[]{",
                                "choices[].index=0",
                                "}choices[]",
                                "choices[]{",
                                "choices[].index=1",
                                "}choices[]")),
                arguments(
                        "nested arrays",
                        "{\"rows\":[[{\"x\":1},{\"x\":2}],[],[{\"x\":3},4]]}",
                        List.of(
                                "rows[][]{",
                                "rows[][].x=1",
                                "}rows[][]",
                                "rows[][]{",
                                "rows[][].x=2",
                                "}rows[][]",
                                "rows[][]{",
                                "rows[][].x=3",
                                "}rows[][]",
                                "rows[][]=4")),
                arguments(
                        "duplicate keys",
                        "{\"id\":\"a\",\"id\":\"b\",\"usage\":{\"in\":1,\"in\":2},\"usage\":{\"in\":3}}",
                        List.of(
                                "id=a",
                                "id=b",
                                "usage{",
                                "usage.in=1",
                                "usage.in=2",
                                "}usage",
                                "usage{",
                                "usage.in=3",
                                "}usage")),
                arguments(
                        "a scalar where an object is expected",
                        "{\"usage\":7,\"choices\":\"none\",\"id\":\"a\"}",
                        List.of("usage=7", "id=a")),
                arguments(
                        "an object where a scalar is expected",
                        "{\"id\":{\"id\":1},\"usage\":{\"in\":{\"in\":9},\"x\":0}}",
                        List.of("id{", "}id", "usage{", "usage.in{", "}usage.in", "}usage")),
                arguments(
                        "an array where an object is expected",
                        "{\"usage\":[{\"in\":1},[2]],\"id\":\"a\"}",
                        List.of("usage{", "}usage", "id=a")),
                arguments(
                        "an object where an array is expected",
                        "{\"choices\":{\"index\":1,\"0\":{\"index\":2}}}",
                        List.of()),
                arguments(
                        "scalars where objects are expected in an array",
                        "{\"choices\":[1,null,[{\"index\":3}],{\"index\":4}]}",
                        List.of(
                                "choices[]=1",
                                "choices[]=null",
                                "choices[]{",
                                "}choices[]",
                                "choices[]{",
                                "choices[].index=4",
                                "}choices[]")),
                arguments("null", "{\"id\":null,\"usage\":null,\"choices\":null}", List.of("id=null", "usage=null")),
                arguments(
                        "a field whose name has a dot",
                        "{\"usage.in\":1,\"choices[]\":2,\"choices[].index\":3}",
                        List.of()),
                arguments(
                        "a field that is named like an element",
                        "{\"choices\":{\"[]\":{\"index\":1}},\"rows\":{\"[]\":{\"[]\":1}}}",
                        List.of()),
                arguments("an array as the root", "[{\"id\":\"a\",\"usage\":{\"in\":1}},\"id\",5]", List.of()),
                arguments("a string as the root", "\"id\"", List.of()),
                arguments("a number as the root", "5 ", List.of()),
                arguments("an empty object", "{}", List.of()),
                arguments(
                        "escaped names",
                        "{\"\\u0069d\":\"a\",\"us\\u0061ge\":{\"in\":1}}",
                        List.of("id=a", "usage{", "usage.in=1", "}usage")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("documents")
    @DisplayName("shows the wanted places and nothing else, whichever parser reads")
    void showsTheWantedPlaces(String what, String json, List<String> expected) {
        assertThat(walkBlocking(PATHS, json)).isEqualTo(expected);
        assertThat(walkNonBlocking(PATHS, json, 1)).isEqualTo(expected);
        assertThat(walkNonBlocking(PATHS, json, 3)).isEqualTo(expected);
    }

    @Test
    void followsAsDeepAsThePathsGoAndSkipsDeeperOnes() {
        String path = "a" + ".a".repeat(19);
        String json = "{\"a\":".repeat(400) + "1" + "}".repeat(400);
        String exact = "{\"a\":".repeat(20) + "1" + "}".repeat(20);

        assertThat(walkBlocking(FieldPaths.of(path), exact)).containsExactly(path + "=1");
        assertThat(walkBlocking(FieldPaths.of(path), json)).containsExactly(path + "{", "}" + path);
        assertThat(walkNonBlocking(FieldPaths.of(path), json, 7)).containsExactly(path + "{", "}" + path);
    }

    @Test
    void saysOfTheLastTokenOnlyThatItEndsTheDocument() throws IOException {
        String json = "{\"usage\":{\"in\":[1,{}]},\"x\":[[]]}";
        List<Boolean> ends = new ArrayList<>();
        JsonWalk walk = new JsonWalk(PATHS, new Recorder());
        try (JsonParser parser = new JsonFactory().createParser(json)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                ends.add(walk.accept(token, parser));
            }
        }
        assertThat(ends).endsWith(true);
        assertThat(ends.subList(0, ends.size() - 1)).containsOnly(false);
    }

    @Test
    void startsAnewAfterADocumentThatBrokeOff() throws IOException {
        Recorder recorder = new Recorder();
        JsonWalk walk = new JsonWalk(PATHS, recorder);
        feed(walk, "{\"usage\":{\"in\":1,\"x\":[[[");
        recorder.seen.clear();

        walk.reset();
        feed(walk, "{\"id\":\"a\",\"usage\":{\"in\":2}}");

        assertThat(recorder.seen).containsExactly("id=a", "usage{", "usage.in=2", "}usage");
    }

    @Property(tries = 1000)
    @Label("any document shows what a plain descent into its tree finds, whichever parser reads")
    void anyDocumentShowsWhatADescentFinds(@ForAll("document") String json, @ForAll("pieceSize") int pieceSize)
            throws IOException {
        List<String> expected = new ArrayList<>();
        descend(JSON.readTree(json), List.of(), expected);

        assertThat(walkBlocking(PATHS, json)).isEqualTo(expected);
        assertThat(walkNonBlocking(PATHS, json, pieceSize)).isEqualTo(expected);
    }

    @Provide
    Arbitrary<Integer> pieceSize() {
        return Arbitraries.integers().between(1, 20);
    }

    @Provide
    Arbitrary<String> document() {
        return values(4).map(value -> value + " ");
    }

    private static Arbitrary<String> values(int depth) {
        Arbitrary<String> scalars = Arbitraries.of("1", "0", "null", "true", "\"a\"", "\"id\"", "-2.5", "\"\"");
        if (depth == 0) {
            return scalars;
        }
        Arbitrary<String> names =
                Arbitraries.of("id", "usage", "in", "choices", "index", "rows", "x", "[]", "usage.in");
        Arbitrary<String> inner = values(depth - 1);
        Arbitrary<String> arrays = inner.list().ofMaxSize(3).map(list -> "[" + String.join(",", list) + "]");
        Arbitrary<String> objects = names.set()
                .ofMaxSize(5)
                .flatMap(set -> inner.list().ofSize(set.size()).map(list -> {
                    List<String> fields = new ArrayList<>();
                    int i = 0;
                    for (String name : set) {
                        fields.add("\"" + name + "\":" + list.get(i++));
                    }
                    return "{" + String.join(",", fields) + "}";
                }));
        return Arbitraries.oneOf(List.of(objects, objects, arrays, scalars));
    }

    private static final List<List<Object>> WANTED = List.of(
            List.of("id"),
            List.of("usage"),
            List.of("usage", "in"),
            List.of("choices", ELEMENT),
            List.of("choices", ELEMENT, "index"),
            List.of("rows", ELEMENT, ELEMENT, "x"),
            List.of("rows", ELEMENT, ELEMENT));

    private static void descend(JsonNode node, List<Object> path, List<String> found) {
        boolean wanted = WANTED.contains(path);
        if (node.isValueNode()) {
            if (wanted) {
                found.add(name(path) + "=" + node.asText());
            }
            return;
        }
        if (wanted) {
            found.add(name(path) + "{");
        }
        if (node.isObject()) {
            node.fields().forEachRemaining(field -> descend(field.getValue(), step(path, field.getKey()), found));
        } else {
            node.forEach(element -> descend(element, step(path, ELEMENT), found));
        }
        if (wanted) {
            found.add("}" + name(path));
        }
    }

    private static List<Object> step(List<Object> path, Object step) {
        List<Object> longer = new ArrayList<>(path);
        longer.add(step);
        return longer;
    }

    private static String name(List<Object> path) {
        StringBuilder name = new StringBuilder();
        for (Object step : path) {
            name.append(step == ELEMENT ? "[]" : (name.isEmpty() ? "" : ".") + step);
        }
        return name.toString();
    }

    @Test
    void aPathWithAnEmptyNameIsRefusedByName() {
        for (String path : List.of("", "usage.", ".usage", "usage..in")) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> FieldPaths.of(path))
                    .withMessageContaining("\"" + path + "\"");
        }
    }

    private static List<String> walkBlocking(FieldPaths paths, String json) {
        Recorder recorder = new Recorder();
        try {
            feed(new JsonWalk(paths, recorder), json, recorder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return recorder.seen;
    }

    private static void feed(JsonWalk walk, String json, Recorder recorder) throws IOException {
        byte[] bytes = json.getBytes(UTF_8);
        try (JsonParser parser = new JsonFactory().createParser(bytes)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                walk.accept(token, parser);
            }
        }
    }

    /** Feeds a document that may break off. */
    private static void feed(JsonWalk walk, String json) throws IOException {
        try (JsonParser parser = new JsonFactory().createNonBlockingByteBufferParser()) {
            ByteBufferFeeder feeder = (ByteBufferFeeder) parser.getNonBlockingInputFeeder();
            feeder.feedInput(ByteBuffer.wrap(json.getBytes(UTF_8)));
            take(walk, parser);
        }
    }

    private static List<String> walkNonBlocking(FieldPaths paths, String json, int pieceSize) {
        Recorder recorder = new Recorder();
        JsonWalk walk = new JsonWalk(paths, recorder);
        byte[] bytes = json.getBytes(UTF_8);
        try (JsonParser parser = new JsonFactory().createNonBlockingByteBufferParser()) {
            ByteBufferFeeder feeder = (ByteBufferFeeder) parser.getNonBlockingInputFeeder();
            for (int at = 0; at < bytes.length; at += pieceSize) {
                feeder.feedInput(ByteBuffer.wrap(bytes, at, Math.min(pieceSize, bytes.length - at)));
                take(walk, parser);
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return recorder.seen;
    }

    private static void take(JsonWalk walk, JsonParser parser) throws IOException {
        for (JsonToken token = parser.nextToken();
                token != null && token != JsonToken.NOT_AVAILABLE;
                token = parser.nextToken()) {
            walk.accept(token, parser);
        }
    }

    private static final class Recorder extends ResponseReading {

        final List<String> seen = new ArrayList<>();

        @Override
        public void start(String path) {
            seen.add(path + "{");
        }

        @Override
        public void end(String path) {
            seen.add("}" + path);
        }

        @Override
        public void value(String path, JsonParser value) throws IOException {
            seen.add(path + "=" + value.getText());
        }

        @Override
        public boolean recognised(boolean expected) {
            return true;
        }

        @Override
        public boolean isFinished() {
            return false;
        }

        @Override
        public boolean isUsageFinal() {
            return false;
        }

        @Override
        public @Nullable TokenUsage usage() {
            return null;
        }
    }
}
