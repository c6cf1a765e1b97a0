package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.graph.scripted.Allocation;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("a list that grows at its end")
class AppendListTest {

    private static AppendList<Object> listOf(int size) {
        AppendList<Object> list = AppendList.copyOf(null);
        for (int i = 0; i < size; i++) {
            list = list.append(i);
        }
        return list;
    }

    @Test
    @DisplayName("is made of a list's elements, of a single value, or of nothing")
    void made() {
        assertThat(AppendList.copyOf(List.of("a", "b"))).containsExactly("a", "b");
        assertThat(AppendList.copyOf("a")).containsExactly("a");
        assertThat(AppendList.copyOf(null)).isEmpty();
    }

    @Test
    @DisplayName("does not see later changes of the list that it is made of")
    void copies() {
        List<Object> source = new ArrayList<>(List.of("a"));
        AppendList<Object> list = AppendList.copyOf(source);
        source.set(0, "changed");
        source.add("b");

        assertThat(list).containsExactly("a");
        assertThat(list.append("c")).containsExactly("a", "c");
    }

    @Test
    @DisplayName("appended to twice gives two lists, and neither sees the other's element nor what follows it")
    void forks() {
        AppendList<Object> base = listOf(3);
        AppendList<Object> left = base.append("left");
        AppendList<Object> right = base.append("right");

        assertThat(left.append("more")).containsExactly(0, 1, 2, "left", "more");
        assertThat(right.append("other")).containsExactly(0, 1, 2, "right", "other");
        assertThat(left).containsExactly(0, 1, 2, "left");
        assertThat(right).containsExactly(0, 1, 2, "right");
        assertThat(base).containsExactly(0, 1, 2);
    }

    @Test
    @DisplayName("appended to by two threads at once gives each its own")
    void race() throws Exception {
        List<AppendList<Object>> bases =
                IntStream.range(0, 20_000).mapToObj(i -> listOf(i % 16)).toList();
        AtomicInteger arrived = new AtomicInteger();
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            Future<List<List<Object>>> left = threads.submit(appendingToEach(bases, "left", arrived));
            Future<List<List<Object>>> right = threads.submit(appendingToEach(bases, "right", arrived));

            assertThat(left.get()).isEqualTo(withMore(bases, "left"));
            assertThat(right.get()).isEqualTo(withMore(bases, "right"));
        } finally {
            threads.shutdownNow();
        }
    }

    /** Appends to list after list, in step with another thread that does the same. */
    private static Callable<List<List<Object>>> appendingToEach(
            List<AppendList<Object>> bases, String element, AtomicInteger arrived) {
        return () -> {
            List<List<Object>> appended = new ArrayList<>();
            for (int i = 0; i < bases.size(); i++) {
                arrived.incrementAndGet();
                while (arrived.get() < 2 * (i + 1) && !Thread.currentThread().isInterrupted()) {
                    Thread.onSpinWait();
                }
                appended.add(bases.get(i).append(element).append(element + " again"));
            }
            return appended;
        };
    }

    private static List<List<Object>> withMore(List<AppendList<Object>> bases, String element) {
        List<List<Object>> all = new ArrayList<>();
        for (List<Object> base : bases) {
            List<Object> more = new ArrayList<>(base);
            more.add(element);
            more.add(element + " again");
            all.add(more);
        }
        return all;
    }

    @Test
    @DisplayName("cannot be changed, nor read beyond its own end")
    void immutable() {
        AppendList<Object> list = listOf(2);
        list.append("beyond");

        assertThatThrownBy(() -> list.add("x")).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> list.set(0, "x")).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> list.remove(0)).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> list.get(2)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> list.get(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    @DisplayName("takes no null")
    void noNull() {
        AppendList<Object> list = listOf(1);

        assertThatNullPointerException().isThrownBy(() -> list.append(null)).withMessage("element");
    }

    @Test
    @DisplayName("grows in the same memory per element however long it is")
    void linear() {
        listOf(1_000);

        long small = Allocation.of(() -> listOf(2_000)) / 2_000;
        long large = Allocation.of(() -> listOf(20_000)) / 20_000;

        assertThat(large).isLessThanOrEqualTo(2 * small).isLessThan(200);
    }
}
