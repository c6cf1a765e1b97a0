package io.fluxtally.boot.runs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.entry;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RunHistoryTest {

    private static final Duration MINUTE = Duration.ofMinutes(1);

    private final TestClock clock = new TestClock();

    private RunHistory history(int keep, int maxOpen) {
        return new RunHistory(keep, maxOpen, MINUTE.multipliedBy(10), 3, clock);
    }

    private static RunScope opened(RunHistory history, String runId) {
        RunScope scope = RunScope.start(runId);
        history.open(scope, () -> {});
        return scope;
    }

    private static void request(RunHistory history, RunScope scope) {
        new Requests(history).book(scope, 10, 1);
    }

    private static RunState state(RunHistory history, String runId) {
        return history.run(runId).orElseThrow().state();
    }

    @Test
    @DisplayName("bounds are checked, each by its name")
    void bounds() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new RunHistory(-1, 1, MINUTE, 1))
                .withMessage("keep must be 0 or more, but is -1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new RunHistory(1, 0, MINUTE, 1))
                .withMessage("maxOpen must be 1 or more, but is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new RunHistory(1, 1, Duration.ZERO, 1))
                .withMessage("idleTimeout must be positive, but is PT0S");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new RunHistory(1, 1, MINUTE, -1))
                .withMessage("maxRequests must be 0 or more, but is -1");
    }

    @Test
    @DisplayName("of the runs that ended, those that had a request last are kept")
    void keeps() {
        RunHistory history = history(2, 10);
        for (String runId : new String[] {"a", "b", "c"}) {
            RunScope scope = opened(history, runId);
            request(history, scope);
            history.close(scope);
        }
        assertThat(history.runs()).extracting(RunRecord::runId).containsExactlyInAnyOrder("b", "c");

        history.accept(Requests.of("b", 1, 1));
        history.accept(Requests.of("d", 1, 1));

        assertThat(history.runs()).extracting(RunRecord::runId).containsExactlyInAnyOrder("b", "d");
    }

    @Test
    @DisplayName("nothing is kept where nothing is to be kept, and open runs are there all the same")
    void keepsNothing() {
        RunHistory history = history(0, 10);
        RunScope scope = opened(history, "a");
        request(history, scope);
        history.accept(Requests.of("seen", 1, 1));
        assertThat(history.runs()).extracting(RunRecord::runId).containsExactly("a");

        history.close(scope);

        assertThat(history.runs()).isEmpty();
        assertThat(history.open()).isZero();
    }

    @Test
    @DisplayName("one open run too many evicts the one that was quiet for longest, and counts it")
    void evictsByNumber() {
        RunHistory history = history(10, 2);
        RunScope a = opened(history, "a");
        opened(history, "b");
        request(history, a);
        opened(history, "c");

        assertThat(state(history, "a")).isEqualTo(RunState.OPEN);
        assertThat(state(history, "b")).isEqualTo(RunState.EVICTED);
        assertThat(state(history, "c")).isEqualTo(RunState.OPEN);
        assertThat(history.open()).isEqualTo(2);
        assertThat(history.evicted()).isEqualTo(1);
    }

    @Test
    @DisplayName("a run that was quiet for the whole time is evicted when somebody looks, and counted once")
    void evictsByTime() {
        RunHistory history = history(10, 10);
        RunScope quiet = opened(history, "quiet");
        RunScope busy = opened(history, "busy");
        clock.putOn(MINUTE.multipliedBy(9));
        request(history, busy);
        assertThat(history.open()).isEqualTo(2);

        clock.putOn(MINUTE);

        assertThat(history.open()).isEqualTo(1);
        assertThat(history.evicted()).isEqualTo(1);
        assertThat(state(history, "quiet")).isEqualTo(RunState.EVICTED);
        assertThat(history.run("quiet").orElseThrow().end()).isEqualTo(clock.instant());
        assertThat(state(history, "busy")).isEqualTo(RunState.OPEN);
        history.close(quiet);
        assertThat(state(history, "quiet")).isEqualTo(RunState.EVICTED);
        assertThat(history.evicted()).isEqualTo(1);
    }

    @Test
    @DisplayName(
            "a run that waits for a long answer is not evicted for being quiet, but goes on counting when it has gone")
    void waitingIsNoIdleness() {
        RunHistory history = history(10, 10);
        RunScope waiting = opened(history, "waiting");
        opened(history, "idle");
        waiting.tally().begun();

        clock.putOn(MINUTE.multipliedBy(20));

        assertThat(history.open()).isEqualTo(1);
        assertThat(state(history, "waiting")).isEqualTo(RunState.OPEN);
        waiting.tally().ended();
        clock.putOn(MINUTE.multipliedBy(20));
        assertThat(history.open()).isZero();
    }

    @Test
    @DisplayName("a timeout of for ever is one")
    void forEver() {
        RunHistory history = new RunHistory(1, 1, Duration.ofSeconds(Long.MAX_VALUE), 1, clock);
        opened(history, "a");

        assertThat(history.open()).isEqualTo(1);
    }

    @Test
    @DisplayName("a run that was forgotten before a late figure came is not passed off as whole")
    void forgotten() {
        RunHistory history = history(1, 10);
        for (String id : List.of("a", "b")) {
            RunScope scope = opened(history, id);
            request(history, scope);
            history.close(scope);
        }
        assertThat(history.run("b").orElseThrow().isComplete()).isTrue();

        history.accept(Requests.of("a", clock.instant(), 20, 2));

        RunRecord late = history.run("a").orElseThrow();
        assertThat(late.wholeSeen()).isFalse();
        assertThat(late.isComplete()).isFalse();
    }

    @Test
    @DisplayName("looking at a run does not make it busy")
    void lookingIsNoActivity() {
        RunHistory history = history(10, 10);
        RunScope first = opened(history, "first");
        opened(history, "second");
        clock.putOn(MINUTE.multipliedBy(9));
        request(history, first);
        history.run("second");
        history.scope("second");
        clock.putOn(MINUTE);
        assertThat(history.evicted()).isEqualTo(1);

        RunHistory full = history(10, 2);
        opened(full, "a");
        opened(full, "b");
        full.run("a");
        full.scope("a");
        opened(full, "c");
        assertThat(state(full, "a")).isEqualTo(RunState.EVICTED);
    }

    @Test
    @DisplayName("an evicted run that goes on is still counted, and still the run that is found")
    void evictedGoesOn() {
        RunHistory history = history(10, 1);
        RunScope a = opened(history, "a");
        a.tally().begun();
        opened(history, "b");

        assertThat(history.run("a").orElseThrow().inFlight()).isEqualTo(1);
        request(history, a);
        a.tally().ended();

        RunRecord run = history.run("a").orElseThrow();
        assertThat(run.state()).isEqualTo(RunState.EVICTED);
        assertThat(run.sum().total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(run.isComplete()).isTrue();
        assertThat(history.scope("a")).isSameAs(a);
    }

    @Test
    @DisplayName("runs without any request take no place of others, and are as few")
    void emptyOnes() {
        RunHistory history = history(2, 10);
        RunScope busy = opened(history, "busy");
        request(history, busy);
        history.close(busy);
        for (String runId : new String[] {"a", "b", "c"}) {
            history.close(opened(history, runId));
        }

        assertThat(history.runs()).extracting(RunRecord::runId).containsExactly("busy");
        assertThat(history.run("a")).isEmpty();
        assertThat(state(history, "b")).isEqualTo(RunState.CLOSED);
        RunScope again = opened(history, "b");
        assertThat(state(history, "b")).isEqualTo(RunState.OPEN);
        history.close(again);
    }

    @Test
    @DisplayName("an evicted run without a request is remembered, since somebody forgot to close it")
    void evictedEmpty() {
        RunHistory history = history(10, 1);
        opened(history, "a");
        opened(history, "b");

        assertThat(state(history, "a")).isEqualTo(RunState.EVICTED);
    }

    @Test
    @DisplayName("a closed run keeps its scope for as long as something is in flight, and no longer")
    void letsGoOfScope() {
        RunHistory history = history(10, 10);
        RunScope scope = opened(history, "a");
        request(history, scope);
        scope.tally().begun();
        history.close(scope);
        assertThat(history.scope("a")).isSameAs(scope);

        scope.tally().ended();

        assertThat(history.scope("a")).isNull();
        assertThat(history.run("a").orElseThrow().inFlight()).isZero();
    }

    @Test
    @DisplayName("a run opened elsewhere is seen by its requests, and becomes known when it is opened here")
    void seen() {
        RunHistory history = history(10, 10);
        Instant start = clock.instant().minusSeconds(5);
        history.accept(Requests.of("a", start.plusSeconds(1), 10, 1));
        history.accept(Requests.of("a", start, 20, 2));
        history.accept(Requests.of(null, 40, 4));

        RunRecord seen = history.run("a").orElseThrow();
        assertThat(history.runs()).hasSize(1);
        assertThat(seen.state()).isEqualTo(RunState.SEEN);
        assertThat(seen.start()).isEqualTo(start);
        assertThat(seen.end()).isNull();
        assertThat(seen.requests()).extracting(RequestUsage::start).isSorted();

        RunScope scope = opened(history, "a");
        assertThat(state(history, "a")).isEqualTo(RunState.OPEN);
        assertThat(history.run("a").orElseThrow().sum()).isEqualTo(seen.sum());
        history.close(scope);
        assertThat(state(history, "a")).isEqualTo(RunState.CLOSED);
    }

    @Test
    @DisplayName("requests beyond the bound are in the sums, and counted as left out")
    void manyRequests() {
        RunHistory history = history(10, 10);
        RunScope scope = opened(history, "a");
        for (int i = 0; i < 5; i++) {
            request(history, scope);
        }

        RunRecord run = history.run("a").orElseThrow();
        assertThat(run.requests()).hasSize(3);
        assertThat(run.omitted()).isEqualTo(2);
        assertThat(run.sum().requests()).isEqualTo(5);
        assertThat(run.sum().total()).isEqualTo(TokenUsage.of(50, 5));
    }

    @Test
    @DisplayName("every view is a fold over the same requests, with those that lack its label under none")
    void views() {
        RunHistory history = history(10, 10);
        history.accept(RequestUsage.builder("1", Instant.EPOCH)
                .runId("a")
                .agent("planner")
                .responseModel("qwen-plus")
                .usage(TokenUsage.of(10, 1), UsageSource.REPORTED)
                .build());
        history.accept(RequestUsage.builder("2", Instant.EPOCH)
                .runId("a")
                .requestModel("qwen-plus")
                .usage(TokenUsage.of(20, 2), UsageSource.PARTIAL)
                .outcome(RequestOutcome.CANCELLED)
                .build());
        history.accept(RequestUsage.builder("3", Instant.EPOCH).runId("a").build());

        RunRecord run = history.run("a").orElseThrow();
        assertThat(run.byModel())
                .containsExactly(
                        entry("none", run.byModel().get("none")),
                        entry("qwen-plus", run.byModel().get("qwen-plus")));
        assertThat(run.byModel().get("qwen-plus").total()).isEqualTo(TokenUsage.of(30, 3));
        assertThat(run.byAgent().keySet()).containsExactly("none", "planner");
        assertThat(run.bySource().keySet()).containsExactly("MISSING", "PARTIAL", "REPORTED");
        assertThat(run.isComplete()).isFalse();
    }

    @Test
    @DisplayName("a record does not change any more")
    void records() {
        RunHistory history = history(10, 10);
        RunScope scope = opened(history, "a");
        request(history, scope);
        RunRecord before = history.run("a").orElseThrow();

        request(history, scope);

        assertThat(before.sum().requests()).isEqualTo(1);
        assertThat(before.requests()).hasSize(1);
        assertThat(before.bySource().get("REPORTED").requests()).isEqualTo(1);
    }

    @Test
    @DisplayName("runs are listed with those that began last first, and by id where they began together")
    void order() {
        RunHistory history = history(10, 10);
        opened(history, "b");
        opened(history, "a");
        clock.putOn(MINUTE);
        opened(history, "c");
        history.accept(Requests.of("old", 1, 1));

        assertThat(history.runs()).extracting(RunRecord::runId).containsExactly("c", "a", "b", "old");
    }
}
