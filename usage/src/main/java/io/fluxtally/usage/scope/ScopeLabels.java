package io.fluxtally.usage.scope;

import java.util.Map;
import java.util.TreeMap;

/**
 * The labels of a scope. They are held by every request that is made in it, so they are few and short, which also keeps
 * texts out of them.
 */
final class ScopeLabels {

    private static final int MAX_LABELS = 16;
    private static final int MAX_NAME = 64;
    private static final int MAX_VALUE = 256;

    private ScopeLabels() {}

    /** The labels with one more, which replaces one of the same name. */
    static Map<String, String> with(Map<String, String> labels, String name, String value) {
        check("name", name, MAX_NAME);
        check("value", value, MAX_VALUE);
        Map<String, String> all = new TreeMap<>(labels);
        all.put(name, value);
        if (all.size() > MAX_LABELS) {
            throw new IllegalArgumentException(
                    "labels must be %d or fewer, but \"%s\" is one more".formatted(MAX_LABELS, name));
        }
        return Map.copyOf(all);
    }

    private static void check(String what, String text, int max) {
        if (text.isEmpty() || text.length() > max) {
            throw new IllegalArgumentException(
                    "the %s of a label must have 1 to %d characters, but has %d".formatted(what, max, text.length()));
        }
    }

    /** The labels of a scope that is entered inside another: its own, and those of the other that it lacks. */
    static Map<String, String> inside(Map<String, String> outer, Map<String, String> own) {
        if (outer.isEmpty() || own.keySet().containsAll(outer.keySet())) {
            return own;
        }
        Map<String, String> all = new TreeMap<>(outer);
        all.putAll(own);
        return Map.copyOf(all);
    }
}
