package io.fluxtally.boot.runs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RunOverviewTest {

    private final RunHistory history = new RunHistory(10, 10, Duration.ofHours(1), 1);

    private static RequestUsage request(String id, String runId, int second, String model, long tokens) {
        return RequestUsage.builder(id, Instant.EPOCH.plusSeconds(second))
                .runId(runId)
                .responseModel(model)
                .agent("a")
                .usage(TokenUsage.of(tokens, 1), UsageSource.REPORTED)
                .build();
    }

    @Test
    @DisplayName("its sums have all runs, also those that it does not show, and all requests of each")
    void sums() {
        history.accept(request("1", "older", 1, "m1", 100));
        history.accept(request("2", "older", 2, "m2", 20));
        history.accept(request("3", "newer", 3, "m1", 3));

        RunOverview overview = history.overview(1);

        assertThat(overview.runs()).extracting(RunRecord::runId).containsExactly("newer");
        assertThat(overview.omitted()).isEqualTo(1);
        assertThat(overview.sum().total()).isEqualTo(TokenUsage.of(123, 3));
        assertThat(overview.byModel()).containsOnlyKeys("m1", "m2");
        assertThat(overview.byModel().get("m1").total().inputTokens()).isEqualTo(103);
        assertThat(overview.byAgent().get("a")).isEqualTo(overview.sum());
        assertThat(overview.bySource().get("REPORTED")).isEqualTo(overview.sum());
    }

    @Test
    @DisplayName("a run in it is as it is by itself, without its requests")
    void runs() {
        history.accept(request("1", "run", 1, "m1", 100));
        history.accept(request("2", "run", 2, "m2", 20));

        RunRecord shown = history.overview(5).runs().get(0);
        RunRecord whole = history.run("run").orElseThrow();

        assertThat(shown.requests()).isEmpty();
        assertThat(whole.requests()).hasSize(1);
        assertThat(shown).usingRecursiveComparison().ignoringFields("requests").isEqualTo(whole);
    }

    @Test
    @DisplayName("it is a picture of one moment")
    void oneMoment() {
        history.accept(request("1", "run", 1, "m1", 100));
        RunOverview before = history.overview(5);

        history.accept(request("2", "run", 2, "m2", 20));

        assertThat(before.byModel()).containsOnlyKeys("m1");
        assertThat(before.runs().get(0).sum().requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("a negative limit is refused")
    void negative() {
        assertThatThrownBy(() -> history.overview(-1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("limit must be 0 or more, but is -1");
    }
}
