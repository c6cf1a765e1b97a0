package io.fluxtally.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a part of a run has written, update by update, so that it can be merged into what the rest has written. Of a key
 * that is replaced only the last update counts, so only that is kept.
 *
 * <p>Used by one thread at a time.
 */
final class UpdateLog {

    private final Map<String, KeyStrategy> strategies;
    private final Map<String, List<@Nullable Object>> updates = new LinkedHashMap<>();

    UpdateLog(Map<String, KeyStrategy> strategies) {
        this.strategies = strategies;
    }

    /** A log that was saved. */
    static UpdateLog of(Map<String, ? extends List<@Nullable Object>> saved, Map<String, KeyStrategy> strategies) {
        UpdateLog log = new UpdateLog(strategies);
        saved.forEach((key, values) -> values.forEach(value -> log.add(key, value)));
        return log;
    }

    /** What is in it now. */
    Map<String, List<@Nullable Object>> copy() {
        Map<String, List<@Nullable Object>> copy = new LinkedHashMap<>();
        updates.forEach((key, values) -> copy.put(key, new ArrayList<>(values)));
        return copy;
    }

    void add(Map<String, ?> update) {
        update.forEach(this::add);
    }

    void addAll(UpdateLog other) {
        other.updates.forEach((key, values) -> values.forEach(value -> add(key, value)));
    }

    private void add(String key, @Nullable Object value) {
        List<@Nullable Object> values = updates.computeIfAbsent(key, none -> new ArrayList<>(1));
        if (replaces(key)) {
            values.clear();
        }
        values.add(value);
    }

    boolean replaces(String key) {
        return strategies.getOrDefault(key, KeyStrategy.REPLACE) == KeyStrategy.REPLACE;
    }

    Set<String> keys() {
        return updates.keySet();
    }

    /** The updates of each key, in their order. */
    Map<String, List<@Nullable Object>> updates() {
        return updates;
    }
}
