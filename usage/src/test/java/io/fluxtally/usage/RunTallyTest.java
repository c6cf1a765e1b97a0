package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.test.util.RaceTestUtils;

class RunTallyTest {

    private final RunTally tally = new RunTally();

    @Test
    @DisplayName("the same request added twice counts once")
    void sameRequestTwice() {
        RequestUsage request = Samples.reported("one", TokenUsage.of(10, 1));

        assertThat(tally.add(request)).isTrue();
        assertThat(tally.add(request)).isFalse();
        assertThat(tally.add(Samples.reported("one", TokenUsage.of(99, 9)))).isFalse();

        assertThat(tally.usage().requests()).containsExactly(request);
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(10, 1));
    }

    @Test
    @DisplayName("requests whose ids have one hash code are told apart, however many there are")
    void sameHashCode() {
        List<RequestUsage> requests = new ArrayList<>();
        for (int i = 0; i < 256; i++) {
            String id = "";
            for (int bit = 0; bit < 8; bit++) {
                id += (i >> bit & 1) == 0 ? "Aa" : "BB";
            }
            requests.add(Samples.reported(id, TokenUsage.of(1 + i, 1)));
        }

        assertThat(requests)
                .extracting(request -> request.requestId().hashCode())
                .containsOnly("AaAaAaAaAaAaAaAa".hashCode());
        assertThat(requests).allMatch(tally::add).noneMatch(tally::add);
        assertThat(tally.usage().requests()).containsExactlyInAnyOrderElementsOf(requests);
    }

    @Test
    @DisplayName("a request is booked even if who is asked about its place fails")
    void placeFails() {
        RequestUsage request = Samples.reported("one", TokenUsage.of(10, 1));

        assertThatIllegalStateException()
                .isThrownBy(() -> tally.add(request, in -> {
                    throw new IllegalStateException("no place");
                }));

        assertThat(tally.usage().requests()).containsExactly(request);
        assertThat(tally.holdPlace(0)).as("places taken").isEqualTo(1);
    }

    @Test
    @DisplayName("two requests with the same figure count twice")
    void sameFigureTwice() {
        tally.add(Samples.reported("one", TokenUsage.of(10, 1)));
        tally.add(Samples.reported("two", TokenUsage.of(10, 1)));

        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(20, 2));
    }

    @Test
    @DisplayName("T9: parallel branches count from zero and are in the whole once")
    void branches() {
        tally.add(Samples.reported("before", TokenUsage.of(100_000, 0)));
        RunTally left = tally.branch();
        RunTally right = tally.branch();
        assertThat(left.usage()).isEqualTo(RunUsage.EMPTY);

        left.add(Samples.reported("left", TokenUsage.of(10, 1)));
        right.add(Samples.reported("right", TokenUsage.of(20, 2)));

        assertThat(left.usage().total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(right.usage().total()).isEqualTo(TokenUsage.of(20, 2));
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(100_030, 3));
    }

    @Test
    @DisplayName("T9: a request of a nested branch is in every tally above it once, and in none beside it")
    void nestedBranches() {
        RunTally branch = tally.branch();
        RunTally leaf = branch.branch();
        RunTally beside = tally.branch();
        RequestUsage request = Samples.reported("one", TokenUsage.of(10, 1));

        leaf.add(request);
        branch.add(request);
        tally.add(request);

        assertThat(leaf.usage().requests()).containsExactly(request);
        assertThat(branch.usage().requests()).containsExactly(request);
        assertThat(tally.usage().requests()).containsExactly(request);
        assertThat(beside.usage().requests()).isEmpty();
    }

    @Test
    @DisplayName("T10: what is restored is counted here once, and not above")
    void restored() {
        RequestUsage before = Samples.reported("before", TokenUsage.of(10, 1));
        RunTally resumed = tally.branch();

        resumed.restore(RunUsage.of(List.of(before), 0));
        resumed.restore(RunUsage.of(List.of(before), 0));
        resumed.addAll(resumed.usage());
        resumed.add(Samples.reported("after", TokenUsage.of(20, 2)));

        assertThat(resumed.usage().total()).isEqualTo(TokenUsage.of(30, 3));
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(20, 2));
        assertThat(resumed.holdPlace(3)).as("places taken").isEqualTo(2);
        assertThat(resumed.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("what was in flight when it was stored stays so here, and is not so above")
    void restoredInFlight() {
        RunTally resumed = tally.branch();

        resumed.restore(RunUsage.of(List.of(Samples.reported("before", TokenUsage.of(10, 1))), 1));

        assertThat(resumed.usage().isComplete()).isFalse();
        assertThat(resumed.usage().inFlight()).isEqualTo(1);
        assertThat(tally.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("a branch hands on a request that was added to it again by another branch")
    void sameRequestInTwoBranches() {
        RequestUsage request = Samples.reported("one", TokenUsage.of(10, 1));

        assertThat(tally.branch().add(request)).isTrue();
        RunTally second = tally.branch();
        assertThat(second.add(request)).isTrue();

        assertThat(second.usage().requests()).containsExactly(request);
        assertThat(tally.usage().requests()).containsExactly(request);
    }

    @Test
    @DisplayName("T10: merging a snapshot again adds only what is new")
    void addAll() {
        RunTally other = new RunTally();
        other.add(Samples.reported("one", TokenUsage.of(10, 1)));
        RunTally branch = tally.branch();
        branch.addAll(other.usage());
        other.add(Samples.reported("two", TokenUsage.of(20, 2)));

        branch.addAll(other.usage());
        branch.addAll(other.usage());

        assertThat(branch.usage().total()).isEqualTo(TokenUsage.of(30, 3));
        assertThat(branch.usage()).isEqualTo(other.usage());
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(30, 3));
    }

    @Test
    @DisplayName("of threads that add the same request at once exactly one adds it")
    void raceForOneRequest() {
        for (int i = 0; i < 1_000; i++) {
            RequestUsage request = Samples.reported("request-" + i, TokenUsage.of(10, 1));
            AtomicInteger added = new AtomicInteger();
            Runnable add = () -> {
                if (tally.add(request)) {
                    added.incrementAndGet();
                }
            };
            RaceTestUtils.race(add, add);
            assertThat(added).hasValue(1);
        }
        assertThat(tally.usage().requests()).hasSize(1_000);
    }

    @Test
    @DisplayName("threads that add different requests at once lose none")
    void raceForTheTally() {
        int each = 50_000;
        RunTally left = tally.branch();
        RunTally right = tally.branch();

        RaceTestUtils.race(() -> addMany(left, "left-", each), () -> addMany(right, "right-", each));

        assertThat(tally.usage().sum().requests()).isEqualTo(2L * each);
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(20L * each, 2L * each));
    }

    @Test
    @DisplayName("of two that race for the last place exactly one gets it, and one who leaves makes room")
    void raceForThePlace() {
        for (int round = 0; round < 20_000; round++) {
            RunTally raced = new RunTally();
            AtomicInteger held = new AtomicInteger();
            Runnable holds = () -> held.addAndGet(raced.holdPlace(1) < 1 ? 1 : 0);

            RaceTestUtils.race(holds, holds);

            assertThat(held).hasValue(1);
            raced.leavePlace();
            assertThat(raced.holdPlace(1)).isZero();
        }
    }

    @Test
    @DisplayName("a request takes the place held for it, and another one more, in each tally by itself")
    void placesTaken() {
        RunTally branch = tally.branch();
        tally.holdPlace(10);

        branch.add(Samples.reported("held", TokenUsage.of(1, 0)), in -> in == tally);
        branch.add(Samples.reported("held", TokenUsage.of(1, 0)), in -> false);
        branch.add(Samples.reported("other", TokenUsage.of(1, 0)));

        assertThat(tally.holdPlace(2)).isEqualTo(2);
        assertThat(branch.holdPlace(2)).isEqualTo(2);
        assertThat(branch.holdPlace(3)).isEqualTo(2);
        assertThat(branch.holdPlace(3)).isEqualTo(3);
    }

    private static void addMany(RunTally tally, String prefix, int count) {
        for (int i = 0; i < count; i++) {
            tally.add(Samples.reported(prefix + i, TokenUsage.of(10, 1)));
        }
    }

    @Test
    @DisplayName("snapshots taken while eight threads add are consistent, and nothing is lost or added twice")
    void consistentSnapshots() throws Exception {
        int threads = 8;
        int perPair = 1_000;
        CountDownLatch ready = new CountDownLatch(threads + 1);
        AtomicBoolean adding = new AtomicBoolean(true);
        ExecutorService pool = Executors.newFixedThreadPool(threads + 1);
        try {
            Future<Integer> reader = pool.submit(() -> {
                ready.countDown();
                ready.await();
                int snapshots = 0;
                long seen = 0;
                while (adding.get() || snapshots == 0) {
                    RunUsage usage = tally.usage();
                    assertConsistent(usage);
                    assertThat(usage.sum().requests()).isGreaterThanOrEqualTo(seen);
                    seen = usage.sum().requests();
                    snapshots++;
                }
                return snapshots;
            });
            List<Future<?>> writers = new ArrayList<>();
            for (int thread = 0; thread < threads; thread++) {
                String pair = "pair-" + thread / 2 + "-request-";
                RunTally branch = tally.branch();
                writers.add(pool.submit(() -> {
                    ready.countDown();
                    ready.await();
                    for (int i = 0; i < perPair; i++) {
                        branch.add(Samples.reported(pair + i, TokenUsage.of(i, 3)));
                    }
                    assertThat(branch.usage().requests()).hasSize(perPair);
                    return null;
                }));
            }
            for (Future<?> writer : writers) {
                writer.get(60, TimeUnit.SECONDS);
            }
            adding.set(false);
            assertThat(reader.get(60, TimeUnit.SECONDS)).isPositive();
        } finally {
            pool.shutdownNow();
        }

        long input = 4L * perPair * (perPair - 1) / 2;
        assertThat(tally.usage().total()).isEqualTo(TokenUsage.of(input, 4L * perPair * 3));
        assertThat(tally.usage().requests()).hasSize(4 * perPair);
        assertConsistent(tally.usage());
    }

    private static void assertConsistent(RunUsage usage) {
        TokenUsage total = usage.total();
        assertThat(total.inputTokens() + total.outputTokens()).isEqualTo(total.totalTokens());
        List<RequestUsage> requests = usage.requests();
        assertThat(requests).hasSize((int) usage.sum().requests());
        TokenUsage sum = TokenUsage.ZERO;
        for (RequestUsage request : requests) {
            sum = sum.plus(request.usage());
        }
        assertThat(total).isEqualTo(sum);
    }
}
