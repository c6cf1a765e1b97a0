package io.fluxtally.ledger.cost;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;

/** A value in a price book, and where it is. */
final class PriceField {

    private static final int LONGEST_QUOTE = 60;

    private static final Pattern TOKENS = Pattern.compile("[1-9][0-9]{0,17}");

    private final String file;
    private final String path;
    private final Node node;

    PriceField(String file, String path, Node node) {
        this.file = file;
        this.path = path;
        this.node = node;
    }

    int line() {
        return node.getStartMark().getLine() + 1;
    }

    PriceBookException complaint(String rule) {
        return complaint(line(), path.isEmpty() ? "a price book" : path, rule);
    }

    private PriceBookException complaint(int line, String key, String rule) {
        return new PriceBookException(file, line, key, rule, null);
    }

    String text() {
        if (node instanceof ScalarNode scalar && !isNull()) {
            return scalar.getValue();
        }
        throw complaint("must be a text or number, but is " + value());
    }

    String matching(Pattern form, String rule) {
        String text = text();
        if (!form.matcher(text).matches()) {
            throw complaint(rule + ", but is " + value());
        }
        return text;
    }

    long tokens() {
        return Long.parseLong(matching(TOKENS, "must be a whole number of tokens, 1 or more"));
    }

    List<PriceField> items(int most) {
        if (!(node instanceof SequenceNode sequence)) {
            throw complaint("must be a list, but is " + value());
        }
        int size = sequence.getValue().size();
        if (size < 1 || size > most) {
            throw complaint("must have 1 to %d items, but has %d".formatted(most, size));
        }
        List<PriceField> items = new ArrayList<>();
        for (Node item : sequence.getValue()) {
            items.add(new PriceField(file, path + "[" + items.size() + "]", item));
        }
        return items;
    }

    Map<String, PriceField> entries(List<String> allowed) {
        if (!(node instanceof MappingNode mapping)) {
            throw complaint("must be a mapping, but is " + value());
        }
        Map<String, PriceField> entries = new LinkedHashMap<>();
        for (NodeTuple entry : mapping.getValue()) {
            PriceField key = new PriceField(file, path, entry.getKeyNode());
            String name = key.text();
            if (!allowed.contains(name)) {
                throw complaint(
                        key.line(),
                        "a key of " + (path.isEmpty() ? "a price book" : path),
                        "must be one of " + String.join(", ", allowed) + ", but is " + key.value());
            }
            if (entries.put(name, new PriceField(file, child(name), entry.getValueNode())) != null) {
                throw complaint(key.line(), child(name), "must be given once, but is given twice");
            }
        }
        return entries;
    }

    PriceField required(Map<String, PriceField> entries, String key) {
        PriceField field = entries.get(key);
        if (field == null) {
            throw complaint(line(), child(key), "must be given, but is missing");
        }
        return field;
    }

    private String child(String key) {
        return path.isEmpty() ? key : path + "." + key;
    }

    private boolean isNull() {
        return node.getTag().equals(Tag.NULL);
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
        String text = ((ScalarNode) node).getValue();
        String shown = text.length() > LONGEST_QUOTE ? text.substring(0, LONGEST_QUOTE) + "..." : text;
        return "\"" + shown.replace("\r", "\\r").replace("\n", "\\n") + "\"";
    }
}
