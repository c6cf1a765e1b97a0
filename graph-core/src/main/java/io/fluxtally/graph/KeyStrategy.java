package io.fluxtally.graph;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** How a node's update of a key is merged into the state. Implementations are pure functions. */
@FunctionalInterface
public interface KeyStrategy {

    /** The update takes the place of what was there; a null update removes the key. */
    KeyStrategy REPLACE = (current, update) -> update;

    /** The update, or each element of it if it is a {@code List}, goes behind what was there, in constant time. */
    KeyStrategy APPEND = KeyStrategy::append;

    /**
     * The value after an update.
     *
     * @param current what was there, or null
     * @param update what the node says
     * @return the new value, or null to remove the key
     */
    @Nullable
    Object merge(@Nullable Object current, @Nullable Object update);

    private static @Nullable Object append(@Nullable Object current, @Nullable Object update) {
        if (update == null) {
            return current;
        }
        AppendList<Object> list = AppendList.copyOf(current);
        if (update instanceof List<?> elements) {
            for (Object element : elements) {
                list = list.append(element);
            }
            return list;
        }
        return list.append(update);
    }
}
