package io.fluxtally.usage.metrics;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The values of one tag: those that came first, as many as may be. Every later one is {@code other}.
 *
 * <p>Safe for use by any number of threads.
 */
final class TagValues {

    /** Stands for what is not known. */
    static final String NONE = "none";

    /** Stands for what there is no place for. */
    static final String OTHER = "other";

    /** A longer one is no name. Without a limit, the number of values would not limit the memory that they take. */
    static final int MAX_LENGTH = 255;

    private final int max;
    private final Set<String> values = ConcurrentHashMap.newKeySet();

    TagValues(int max) {
        this.max = max;
    }

    String of(@Nullable String value) {
        if (value == null || value.isBlank()) {
            return NONE;
        }
        if (values.contains(value)) {
            return value;
        }
        return value.length() <= MAX_LENGTH && takesPlace(value) ? value : OTHER;
    }

    private boolean takesPlace(String value) {
        // Once it is full, nobody waits for anybody.
        if (values.size() >= max) {
            return values.contains(value);
        }
        synchronized (values) {
            return values.contains(value) || (values.size() < max && values.add(value));
        }
    }
}
