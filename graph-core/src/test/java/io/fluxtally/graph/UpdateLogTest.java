package io.fluxtally.graph;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("what a branch has written")
class UpdateLogTest {

    private final UpdateLog log = new UpdateLog(Map.of("list", KeyStrategy.APPEND));

    @Test
    @DisplayName("is of a key that is replaced the last update, so that a long loop keeps one, and of another all")
    void keepsWhatCounts() {
        for (int i = 0; i < 5; i++) {
            log.add(Map.of("one", i, "list", i));
        }

        assertThat(log.updates()).containsOnly(Map.entry("one", List.of(4)), Map.entry("list", List.of(0, 1, 2, 3, 4)));
    }

    @Test
    @DisplayName("takes in what a branch of the branch has written, by the same rule")
    void nested() {
        UpdateLog inner = new UpdateLog(Map.of("list", KeyStrategy.APPEND));
        log.add(Map.of("one", 1, "list", 1));
        inner.add(Map.of("one", 2, "list", 2));

        log.addAll(inner);

        assertThat(log.updates()).containsOnly(Map.entry("one", List.of(2)), Map.entry("list", List.of(1, 2)));
    }
}
