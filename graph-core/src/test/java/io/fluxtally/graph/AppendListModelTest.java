package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

@Label("a list that grows at its end")
class AppendListModelTest {

    /** Each number picks one of the lists made so far, the next list is that one with one element more. */
    @Provide
    Arbitrary<List<Integer>> histories() {
        // Small numbers pick late lists, so that long shared tails are as frequent as forks.
        return Arbitraries.oneOf(
                        Arbitraries.integers().between(0, 3),
                        Arbitraries.integers().between(0, 1_000))
                .list()
                .ofMaxSize(120);
    }

    @Property(tries = 500)
    @Label("is what an ArrayList copied at every append would be, whichever version is appended to")
    void likeCopies(@ForAll("histories") List<Integer> history) {
        List<AppendList<Object>> versions = new ArrayList<>(List.of(AppendList.copyOf(null)));
        List<List<Object>> model = new ArrayList<>(List.of(List.of()));
        for (int step = 0; step < history.size(); step++) {
            int picked = versions.size() - 1 - history.get(step) % versions.size();
            versions.add(versions.get(picked).append(step));
            List<Object> copy = new ArrayList<>(model.get(picked));
            copy.add(step);
            model.add(copy);
        }

        assertThat(versions).isEqualTo(model);
    }

    @Property(tries = 200)
    @Label("takes single values and lists alike through APPEND, and earlier values stay as they were")
    void strategy(@ForAll List<List<Integer>> updates, @ForAll boolean single) {
        Object value = null;
        List<Object> snapshots = new ArrayList<>();
        List<Object> expected = new ArrayList<>();
        List<Object> model = new ArrayList<>();
        for (List<Integer> update : updates) {
            Object given = single && update.size() == 1 ? update.get(0) : update;
            value = KeyStrategy.APPEND.merge(value, given);
            model.addAll(update);
            snapshots.add(value);
            expected.add(List.copyOf(model));
        }

        assertThat(snapshots).isEqualTo(expected);
    }
}
