package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.entry;

import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RunUsageTest {

    @Test
    @DisplayName("a run without requests is zero, complete, and empty in every view")
    void empty() {
        assertThat(RunUsage.EMPTY.total()).isEqualTo(TokenUsage.ZERO);
        assertThat(RunUsage.EMPTY.isComplete()).isTrue();
        assertThat(RunUsage.EMPTY.requests()).isEmpty();
        assertThat(RunUsage.EMPTY.byModel()).isEmpty();
        assertThat(RunUsage.EMPTY.byRound()).isEmpty();
        assertThat(new RunTally().usage()).isEqualTo(RunUsage.EMPTY).hasSameHashCodeAs(RunUsage.EMPTY);
    }

    @Test
    @DisplayName("T15: a request without a label is counted under none, and round 0")
    void missingLabels() {
        RequestUsage bare = Samples.reported("bare", TokenUsage.of(10, 1));
        RequestUsage labelled = Samples.request("labelled")
                .requestModel("qwen")
                .agent("planner")
                .node("llm")
                .round(2)
                .usage(TokenUsage.of(20, 2), UsageSource.REPORTED)
                .build();
        RunUsage usage = usageOf(List.of(bare, labelled, Samples.reported("bare too", TokenUsage.of(30, 3))));

        UsageSum none = UsageSum.EMPTY.plus(bare).plus(Samples.reported("x", TokenUsage.of(30, 3)));
        UsageSum one = UsageSum.EMPTY.plus(labelled);
        assertThat(usage.byModel()).containsExactly(entry("none", none), entry("qwen", one));
        assertThat(usage.byAgent()).containsExactly(entry("none", none), entry("planner", one));
        assertThat(usage.byNode()).containsExactly(entry("none", none), entry("llm", one));
        assertThat(usage.byRound()).containsExactly(entry(0, none), entry(2, one));
    }

    @Test
    @DisplayName("a snapshot stays as it was when more is booked")
    void doesNotMutateTheSnapshot() {
        RunTally tally = new RunTally();
        tally.add(Samples.reported("one", TokenUsage.of(10, 1)));
        RunUsage before = tally.usage();

        tally.add(Samples.reported("two", TokenUsage.of(20, 2)));

        assertThat(before.total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(before.requests()).hasSize(1);
        assertThat(tally.usage().requests()).hasSize(2);
    }

    @Test
    @DisplayName("nobody can change a snapshot through its views")
    void viewsAreReadOnly() {
        RunUsage usage = usageOf(List.of(Samples.reported("one", TokenUsage.of(10, 1))));

        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> usage.byModel().clear());
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> usage.requests().clear());
    }

    @Test
    @DisplayName("runs with the same requests are equal")
    void equality() {
        RequestUsage one = Samples.reported("one", TokenUsage.of(10, 1));
        RequestUsage sameFigure = Samples.reported("two", TokenUsage.of(10, 1));

        assertThat(usageOf(List.of(one))).isEqualTo(usageOf(List.of(one))).hasSameHashCodeAs(usageOf(List.of(one)));
        assertThat(usageOf(List.of(one)))
                .isNotEqualTo(usageOf(List.of(sameFigure)))
                .isNotEqualTo(RunUsage.EMPTY)
                .isNotEqualTo(null);
        assertThat(usageOf(List.of(one)))
                .hasToString("RunUsage[total=TokenUsage[input_tokens=10, output_tokens=1, total_tokens=11],"
                        + " requests=1, unreported=0]");
    }

    @Test
    @DisplayName("a run of 100,000 requests is read without deep recursion")
    void longRun() {
        RunTally tally = new RunTally();
        for (int i = 0; i < 100_000; i++) {
            tally.add(Samples.reported("request-" + i, TokenUsage.of(2, 1)));
        }
        RunUsage usage = tally.usage();

        assertThat(usage.total()).isEqualTo(TokenUsage.of(200_000, 100_000));
        assertThat(usage.byModel().get(RunUsage.NONE).requests()).isEqualTo(100_000);
        assertThat(usage).isEqualTo(tally.usage());
    }

    private static RunUsage usageOf(List<RequestUsage> requests) {
        RunTally tally = new RunTally();
        requests.forEach(tally::add);
        return tally.usage();
    }

    @Test
    @DisplayName("requests come in the order in which they were sent, however they ended")
    void inTheOrderSent() {
        RunTally tally = new RunTally();
        tally.add(RequestUsage.builder("second", Instant.EPOCH.plusMillis(2)).build());
        tally.add(RequestUsage.builder("first", Instant.EPOCH.plusMillis(1)).build());

        assertThat(tally.usage().requests()).extracting(RequestUsage::requestId).containsExactly("first", "second");
    }
}
