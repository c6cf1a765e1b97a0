package io.fluxtally.graph;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the nodes of a run have written so far, by key. Immutable, so safe for use by any number of threads, if its values
 * are.
 */
public final class GraphState {

    static final GraphState EMPTY = new GraphState(Map.of());

    private final Map<String, Object> values;

    private GraphState(Map<String, Object> values) {
        this.values = values;
    }

    /** A state that was saved. */
    static GraphState of(Map<String, Object> values) {
        return new GraphState(Collections.unmodifiableMap(new HashMap<>(values)));
    }

    /** The value of a key, or empty. */
    public Optional<Object> value(String key) {
        return Optional.ofNullable(values.get(key));
    }

    /**
     * The value of a key as the given type, or empty.
     *
     * @throws ClassCastException if it is of another type
     */
    public <T> Optional<T> value(String key, Class<T> type) {
        return value(key).map(type::cast);
    }

    /**
     * The elements of a key, in the order in which they were appended; none if it is not there.
     *
     * @throws ClassCastException if the value is no list
     */
    @SuppressWarnings("unchecked")
    public <T> List<T> list(String key) {
        return (List<T>) value(key, List.class).orElse(List.of());
    }

    /** All values, not to be changed. */
    public Map<String, Object> values() {
        return values;
    }

    /** This state with an update merged into it. */
    GraphState with(Map<String, ?> update, Map<String, KeyStrategy> strategies) {
        if (update.isEmpty()) {
            return this;
        }
        Map<String, Object> merged = new HashMap<>(values);
        update.forEach((key, value) -> merge(merged, strategies, key, value));
        return new GraphState(Collections.unmodifiableMap(merged));
    }

    /** This state with all updates of a part of the run merged into it. */
    GraphState with(UpdateLog log, Map<String, KeyStrategy> strategies) {
        Map<String, Object> merged = new HashMap<>(values);
        log.updates().forEach((key, updates) -> updates.forEach(value -> merge(merged, strategies, key, value)));
        return new GraphState(Collections.unmodifiableMap(merged));
    }

    private static void merge(
            Map<String, Object> merged, Map<String, KeyStrategy> strategies, String key, @Nullable Object value) {
        Object result = strategies.getOrDefault(key, KeyStrategy.REPLACE).merge(merged.get(key), value);
        if (result == null) {
            merged.remove(key);
        } else {
            merged.put(key, result);
        }
    }

    /** The keys only: values may be prompts. */
    @Override
    public String toString() {
        return "GraphState" + values.keySet();
    }
}
