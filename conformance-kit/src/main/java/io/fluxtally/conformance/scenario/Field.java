package io.fluxtally.conformance.scenario;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;

/** A node of a scenario file that knows its place: every complaint about it names the file, the line and the path. */
final class Field {

    private static final int LONGEST_QUOTE = 60;

    /** Far above what a request has; aliases of aliases could make very many out of few. */
    static final int MOST_VALUES = 10_000;

    private static final Pattern WHOLE_NUMBER = Pattern.compile("[-+]?(0|[1-9][0-9]*)");

    private static final Pattern DECIMAL_NUMBER = Pattern.compile("[-+]?[0-9]+(\\.[0-9]*)?([eE][-+]?[0-9]+)?");

    /** What SnakeYAML resolves of its own accord; a timestamp or a merge sign is but text here. */
    private static final Set<Tag> TAGS =
            Set.of(Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.NULL, Tag.TIMESTAMP, Tag.MERGE, Tag.MAP, Tag.SEQ);

    private final String file;

    private final String path;

    private final Node node;

    Field(String file, String path, Node node) {
        this.file = file;
        this.path = path;
        this.node = node;
        if (!TAGS.contains(node.getTag())) {
            throw complaint("must not have a tag, but has " + node.getTag().getValue());
        }
    }

    boolean isNull() {
        return node.getTag().equals(Tag.NULL);
    }

    String text() {
        if (!(node instanceof ScalarNode scalar) || isNull()) {
            throw complaint("must be text, but is " + value());
        }
        return scalar.getValue();
    }

    boolean flag() {
        if (node.getTag().equals(Tag.BOOL) && node instanceof ScalarNode scalar) {
            if (scalar.getValue().equalsIgnoreCase("true")) {
                return true;
            }
            if (scalar.getValue().equalsIgnoreCase("false")) {
                return false;
            }
        }
        throw complaint("must be true or false, but is " + value());
    }

    /** A whole number from {@code least} to {@code most}, in the plain decimal notation: no octals, no sexagesimals. */
    long number(long least, long most) {
        if (!node.getTag().equals(Tag.INT)
                || !(node instanceof ScalarNode scalar)
                || !WHOLE_NUMBER.matcher(scalar.getValue()).matches()) {
            throw complaint("must be a whole number, but is " + value());
        }
        String range = most == Long.MAX_VALUE ? least + " or more" : least + " to " + most;
        long number;
        try {
            number = Long.parseLong(scalar.getValue());
        } catch (NumberFormatException tooLong) {
            throw complaint("must be at most " + most + ", but is " + value());
        }
        if (number < least || number > most) {
            throw complaint("must be " + range + ", but is " + value());
        }
        return number;
    }

    <E extends Enum<E>> E word(E[] constants, Function<E, String> word) {
        for (E constant : constants) {
            if (node instanceof ScalarNode scalar && word.apply(constant).equals(scalar.getValue())) {
                return constant;
            }
        }
        List<String> words = Stream.of(constants).map(word).toList();
        throw complaint("must be " + either(words) + ", but is " + value());
    }

    List<Field> items() {
        if (!(node instanceof SequenceNode sequence)) {
            throw complaint("must be a list, but is " + value());
        }
        List<Field> items = new ArrayList<>();
        for (Node item : sequence.getValue()) {
            items.add(new Field(file, path + "[" + items.size() + "]", item));
        }
        return items;
    }

    /** The entries in order, whatever their keys. */
    Map<String, Field> entries() {
        if (!(node instanceof MappingNode mapping)) {
            throw complaint("must be a mapping, but is " + value());
        }
        Map<String, Field> entries = new LinkedHashMap<>();
        Map<String, Field> keys = new LinkedHashMap<>();
        for (NodeTuple entry : mapping.getValue()) {
            Field key = new Field(file, path.isEmpty() ? "a key" : "a key of " + path, entry.getKeyNode());
            String name = key.text();
            Field first = keys.putIfAbsent(name, key);
            if (first != null) {
                throw new ScenarioFormatException(
                        file,
                        key.line(),
                        child(name) + " must be given once, but is given on line " + first.line() + " already",
                        null);
            }
            entries.put(name, new Field(file, child(name), entry.getValueNode()));
        }
        return entries;
    }

    /** The entries in order, whose keys must be among these. */
    Map<String, Field> entries(List<String> allowed) {
        Map<String, Field> entries = entries();
        entries.keySet().stream()
                .filter(key -> !allowed.contains(key))
                .findFirst()
                .ifPresent(key -> {
                    throw new ScenarioFormatException(
                            file,
                            keyLine(key),
                            "a key of " + (path.isEmpty() ? "a scenario" : path) + " must be one of "
                                    + String.join(", ", allowed) + ", but is " + quoted(key),
                            null);
                });
        return entries;
    }

    /** The entry with this key out of {@link #entries}. */
    Field required(Map<String, Field> entries, String key) {
        Field field = entries.get(key);
        if (field == null) {
            throw new ScenarioFormatException(file, line(), child(key) + " must be given, but is missing", null);
        }
        return field;
    }

    /** Any value as plain Java: null, Boolean, Long, Double, String, List, Map. */
    @Nullable
    Object plain() {
        return plain(Set.of(), new AtomicInteger(), this);
    }

    private @Nullable Object plain(Set<Node> around, AtomicInteger values, Field outermost) {
        if (around.contains(node)) {
            throw complaint("must not contain itself");
        }
        if (values.incrementAndGet() > MOST_VALUES) {
            throw outermost.complaint(
                    "must be at most " + MOST_VALUES + " values with what its aliases repeat, but is more");
        }
        // Node compares by identity, and the nesting is limited by the parser.
        Set<Node> within = Stream.concat(around.stream(), Stream.of(node)).collect(Collectors.toSet());
        if (node instanceof MappingNode) {
            Map<String, @Nullable Object> map = new LinkedHashMap<>();
            entries().forEach((key, field) -> map.put(key, field.plain(within, values, outermost)));
            return Collections.unmodifiableMap(map);
        }
        if (node instanceof SequenceNode) {
            List<@Nullable Object> list = new ArrayList<>();
            items().forEach(item -> list.add(item.plain(within, values, outermost)));
            return Collections.unmodifiableList(list);
        }
        if (isNull()) {
            return null;
        }
        if (node.getTag().equals(Tag.BOOL)) {
            return flag();
        }
        if (node.getTag().equals(Tag.INT)) {
            return number(Long.MIN_VALUE, Long.MAX_VALUE);
        }
        if (node.getTag().equals(Tag.FLOAT)) {
            if (!DECIMAL_NUMBER.matcher(text()).matches()) {
                throw complaint("must be a decimal number, but is " + value());
            }
            return Double.valueOf(text());
        }
        return text();
    }

    int line() {
        return node.getStartMark().getLine() + 1;
    }

    ScenarioFormatException complaint(String rule) {
        return new ScenarioFormatException(file, line(), (path.isEmpty() ? "a scenario" : path) + " " + rule, null);
    }

    /** The value as a complaint quotes it. */
    String value() {
        if (node instanceof MappingNode) {
            return "a mapping";
        }
        if (node instanceof SequenceNode) {
            return "a list";
        }
        if (isNull()) {
            return "null";
        }
        String value = ((ScalarNode) node).getValue();
        return node.getTag().equals(Tag.STR) ? quoted(value) : value;
    }

    static String quoted(String text) {
        String shown = text.length() > LONGEST_QUOTE ? text.substring(0, LONGEST_QUOTE) + "..." : text;
        return "\"" + shown.replace("\r", "\\r").replace("\n", "\\n") + "\"";
    }

    private int keyLine(String key) {
        for (NodeTuple entry : ((MappingNode) node).getValue()) {
            if (entry.getKeyNode() instanceof ScalarNode scalar
                    && scalar.getValue().equals(key)) {
                return scalar.getStartMark().getLine() + 1;
            }
        }
        return line();
    }

    private String child(String key) {
        return path.isEmpty() ? key : path + "." + key;
    }

    private static String either(List<String> words) {
        int last = words.size() - 1;
        return String.join(", ", words.subList(0, last)) + " or " + words.get(last);
    }
}
