package io.fluxtally.usage.reactor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Operators;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.util.RaceTestUtils;

class FluxTapRaceTest {

    private static final int REPETITIONS = 2_000;

    private Scheduler scheduler;

    @BeforeEach
    void start() {
        scheduler = Schedulers.newParallel("barrier", 2);
    }

    @AfterEach
    void stop() {
        scheduler.dispose();
    }

    /** Counts ends only. */
    private static final class Ends implements StreamListener<Integer> {

        private final AtomicInteger completed = new AtomicInteger();
        private final AtomicInteger failed = new AtomicInteger();
        private final AtomicInteger cancelled = new AtomicInteger();

        @Override
        public void onNext(Integer element) {}

        @Override
        public void onComplete() {
            completed.incrementAndGet();
        }

        @Override
        public void onError(Throwable error) {
            failed.incrementAndGet();
        }

        @Override
        public void onCancel() {
            cancelled.incrementAndGet();
        }

        int all() {
            return completed.get() + failed.get() + cancelled.get();
        }
    }

    private static BaseSubscriber<Integer> anySubscriber() {
        return new BaseSubscriber<>() {
            @Override
            protected void hookOnError(Throwable error) {}
        };
    }

    @Test
    @DisplayName("of a complete and a cancel at once exactly one is heard")
    void completeAgainstCancel() {
        Ends won = new Ends();
        for (int i = 0; i < REPETITIONS; i++) {
            Ends ends = new Ends();
            TapSubscriber<Integer> tap = new TapSubscriber<>(anySubscriber(), ends);
            tap.onSubscribe(Operators.emptySubscription());

            RaceTestUtils.race(tap::onComplete, tap::cancel);

            assertThat(ends.all()).isEqualTo(1);
            won.completed.addAndGet(ends.completed.get());
            won.cancelled.addAndGet(ends.cancelled.get());
        }
        assertThat(won.all()).isEqualTo(REPETITIONS);
    }

    @Test
    @DisplayName("of an error and two cancels at once exactly one is heard")
    void errorAgainstCancels() {
        RuntimeException broken = new IllegalStateException("broken");
        for (int i = 0; i < REPETITIONS; i++) {
            Ends ends = new Ends();
            TapSubscriber<Integer> tap = new TapSubscriber<>(anySubscriber(), ends);
            tap.onSubscribe(Operators.emptySubscription());

            RaceTestUtils.race(() -> tap.onError(broken), tap::cancel, tap::cancel);

            assertThat(ends.all()).isEqualTo(1);
        }
    }

    @Test
    @DisplayName(
            "T7: behind publishOn and take, where both complete and cancel arrive, every stream has exactly one end")
    void publishOnTake() {
        for (int i = 0; i < REPETITIONS; i++) {
            for (Flux<Integer> source :
                    List.of(Flux.range(1, 2), Flux.range(1, 2).hide())) {
                Ends ends = new Ends();

                Integer first = FluxTap.listen(source, context -> ends)
                        .publishOn(scheduler)
                        .take(1)
                        .blockLast();

                assertThat(first).isEqualTo(1);
                assertThat(ends.all()).isEqualTo(1);
            }
        }
    }
}
