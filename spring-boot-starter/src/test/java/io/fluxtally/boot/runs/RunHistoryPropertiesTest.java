package io.fluxtally.boot.runs;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RunHistoryPropertiesTest {

    private static final Duration IDLE = Duration.ofMinutes(10);

    enum Deed {
        OPEN,
        CLOSE,
        BOOK,
        BOOK_ELSEWHERE,
        LOOK,
        WAIT
    }

    record Step(Deed deed, int run, int model, int minutes) {}

    @Provide
    Arbitrary<List<Step>> steps() {
        return Combinators.combine(
                        Arbitraries.of(Deed.class),
                        Arbitraries.integers().between(0, 9),
                        Arbitraries.integers().between(0, 2),
                        Arbitraries.integers().between(0, 6))
                .as(Step::new)
                .list()
                .ofMaxSize(120);
    }

    @Property(tries = 500)
    @Label("whatever happens, the history is within its bounds, and its sums are folds over the requests that it saw")
    void boundsAndFolds(
            @ForAll("steps") List<Step> steps,
            @ForAll @IntRange(max = 4) int keep,
            @ForAll @IntRange(min = 1, max = 4) int maxOpen,
            @ForAll @IntRange(max = 4) int maxRequests) {
        TestClock clock = new TestClock();
        RunHistory history = new RunHistory(keep, maxOpen, IDLE, maxRequests, clock);
        UsageRecorder recorder = UsageRecorder.withSinks(history);
        Map<String, RunScope> open = new HashMap<>();
        Map<String, List<RequestUsage>> booked = new HashMap<>();
        Map<String, Instant> active = new HashMap<>();
        long opened = 0;
        long closed = 0;
        int id = 0;
        for (Step step : steps) {
            String runId = "run-" + step.run();
            RunScope scope = open.get(runId);
            switch (step.deed()) {
                case OPEN -> {
                    if (history.run(runId)
                            .filter(run -> run.state() == RunState.OPEN)
                            .isEmpty()) {
                        RunScope fresh = RunScope.start(runId);
                        history.open(fresh, () -> {});
                        open.put(runId, fresh);
                        active.put(runId, clock.instant());
                        opened++;
                    }
                }
                case CLOSE -> {
                    if (scope != null) {
                        int before = history.open();
                        history.close(scope);
                        closed += before - history.open();
                        open.remove(runId);
                    }
                }
                case BOOK, BOOK_ELSEWHERE -> {
                    RunScope in = step.deed() == Deed.BOOK && scope != null ? scope : RunScope.start(runId);
                    RequestUsage request = RequestUsage.builder("r" + id++, clock.instant())
                            .runId(runId)
                            .responseModel("model-" + step.model())
                            .build();
                    recorder.book(in, request);
                    booked.computeIfAbsent(runId, key -> new ArrayList<>()).add(request);
                    active.put(runId, clock.instant());
                }
                case LOOK -> history.run(runId);
                case WAIT -> clock.putOn(Duration.ofMinutes(step.minutes()));
            }
            List<RunRecord> runs = history.runs();
            assertThat(history.open()).isLessThanOrEqualTo(maxOpen);
            assertThat(runs).hasSizeLessThanOrEqualTo(keep + maxOpen);
            assertThat(opened).isEqualTo(closed + history.evicted() + history.open());
            Set<String> ids = new HashSet<>();
            for (RunRecord run : runs) {
                assertThat(ids.add(run.runId())).isTrue();
                assertThat(run.requests()).hasSizeLessThanOrEqualTo(maxRequests);
                assertThat(run.requests().size() + run.omitted())
                        .isEqualTo(run.sum().requests());
                assertFolds(run, booked.getOrDefault(run.runId(), List.of()));
                if (run.state() == RunState.OPEN) {
                    assertThat(active.get(run.runId()).plus(IDLE)).isAfter(clock.instant());
                }
            }
        }
    }

    /** A run that was forgotten in between has the last of its requests. */
    private static void assertFolds(RunRecord run, List<RequestUsage> booked) {
        long seen = run.sum().requests();
        UsageSum sum = UsageSum.EMPTY;
        Map<String, UsageSum> byModel = new HashMap<>();
        for (RequestUsage request : booked.subList((int) (booked.size() - seen), booked.size())) {
            sum = sum.plus(request);
            byModel.merge(
                    String.valueOf(request.model()), UsageSum.EMPTY.plus(request), (one, other) -> one.plus(request));
        }
        assertThat(run.sum()).isEqualTo(sum);
        assertThat(run.byModel()).isEqualTo(byModel);
        for (Map<String, UsageSum> view : List.of(run.byModel(), run.byAgent(), run.bySource())) {
            assertThat(view.values().stream().mapToLong(UsageSum::requests).sum())
                    .isEqualTo(seen);
        }
    }

    @Test
    @DisplayName(
            "under threads that open, book, look and close, no reader sees more than the bounds, and no figure is lost")
    void stress() throws Exception {
        int keep = 2000;
        int maxOpen = 16;
        RunHistory history = new RunHistory(keep, maxOpen, IDLE, 5);
        UsageRuns runs = new UsageRuns(history);
        Requests requests = new Requests(history);
        int writers = 6;
        int each = 200;
        CountDownLatch begin = new CountDownLatch(1);
        ExecutorService threads = Executors.newFixedThreadPool(writers + 1);
        try {
            List<Future<?>> work = new ArrayList<>();
            for (int w = 0; w < writers; w++) {
                work.add(threads.submit(() -> {
                    begin.await();
                    for (int i = 0; i < each; i++) {
                        UsageRun run = runs.open();
                        int n = ThreadLocalRandom.current().nextInt(1, 8);
                        for (int r = 0; r < n; r++) {
                            requests.book(run.scope(), 10, 1);
                        }
                        assertThat(run.getTokenUsage().inputTokens()).isEqualTo(10L * n);
                        assertThat(history.run(run.id()).orElseThrow().sum().requests())
                                .isEqualTo(n);
                        // Every other one is forgotten.
                        if (i % 2 == 0) {
                            run.close();
                        }
                    }
                    return null;
                }));
            }
            Future<?> reader = threads.submit(() -> {
                begin.await();
                while (work.stream().anyMatch(writer -> !writer.isDone())) {
                    List<RunRecord> seen = history.runs();
                    assertThat(seen.stream().filter(run -> run.state() == RunState.OPEN))
                            .hasSizeLessThanOrEqualTo(maxOpen);
                    assertThat(seen)
                            .hasSizeLessThanOrEqualTo(keep + maxOpen)
                            .allSatisfy(run -> assertThat(run.sum().total().inputTokens())
                                    .isEqualTo(10 * run.sum().requests()));
                }
                return null;
            });
            begin.countDown();
            for (Future<?> writer : work) {
                writer.get();
            }
            reader.get();
        } finally {
            threads.shutdownNow();
        }

        assertThat(history.open()).isEqualTo(maxOpen);
        assertThat(history.runs()).hasSize(writers * each);
        long closed = history.runs().stream()
                .filter(run -> run.state() == RunState.CLOSED)
                .count();
        assertThat(closed + history.evicted() + maxOpen).isEqualTo(writers * each);
    }
}
