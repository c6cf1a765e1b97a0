package io.fluxtally.graph;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.RandomAccess;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * An immutable list that grows at its end in amortised constant time: lists appended to each other share one array, of
 * which each sees its own first elements. Appending twice to the same list copies, so that neither sees the other's.
 *
 * <p>That is what keeps a loop linear whose state holds every message so far, while each output holds the state of its
 * moment.
 */
final class AppendList<E> extends AbstractList<E> implements RandomAccess {

    private final Object[] shared;
    private final int size;

    /** How many slots of the shared array are taken; whoever moves it on from their own size may write there. */
    private final AtomicInteger taken;

    private AppendList(Object[] shared, int size, AtomicInteger taken) {
        this.shared = shared;
        this.size = size;
        this.taken = taken;
    }

    /** The elements of a list, or the value itself as the only element, or none for null. */
    static AppendList<Object> copyOf(@Nullable Object value) {
        if (value instanceof AppendList<?> list) {
            @SuppressWarnings("unchecked")
            AppendList<Object> same = (AppendList<Object>) list;
            return same;
        }
        Object[] elements =
                value == null ? new Object[0] : value instanceof List<?> list ? list.toArray() : new Object[] {value};
        return new AppendList<>(elements, elements.length, new AtomicInteger(elements.length));
    }

    /** This list with one more element. */
    AppendList<E> append(E element) {
        Objects.requireNonNull(element, "element");
        if (size < shared.length && taken.compareAndSet(size, size + 1)) {
            shared[size] = element;
            return new AppendList<>(shared, size + 1, taken);
        }
        Object[] grown = Arrays.copyOf(shared, Math.max(8, size + (size >> 1) + 1));
        Arrays.fill(grown, size, Math.min(shared.length, grown.length), null);
        grown[size] = element;
        return new AppendList<>(grown, size + 1, new AtomicInteger(size + 1));
    }

    @Override
    @SuppressWarnings("unchecked")
    public E get(int index) {
        return (E) shared[Objects.checkIndex(index, size)];
    }

    @Override
    public int size() {
        return size;
    }
}
