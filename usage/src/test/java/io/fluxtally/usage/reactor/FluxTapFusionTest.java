package io.fluxtally.usage.reactor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Fuseable;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

class FluxTapFusionTest {

    private final Recorder<Integer> recorder = new Recorder<>();
    private final RuntimeException broken = new IllegalStateException("broken");
    private Scheduler scheduler;

    @BeforeEach
    void start() {
        scheduler = Schedulers.newSingle("barrier");
    }

    @AfterEach
    void stop() {
        scheduler.dispose();
    }

    /** A downstream that asks for fusion and pulls by hand. */
    private static final class Puller implements CoreSubscriber<Integer> {

        private final int requestedMode;
        private Fuseable.QueueSubscription<Integer> queue;
        private int mode;

        private Puller(int requestedMode) {
            this.requestedMode = requestedMode;
        }

        static Puller of(Flux<Integer> flux, int requestedMode) {
            Puller puller = new Puller(requestedMode);
            flux.subscribe(puller);
            return puller;
        }

        static Puller of(Flux<Integer> flux) {
            return of(flux, Fuseable.SYNC);
        }

        @Override
        @SuppressWarnings("unchecked")
        public void onSubscribe(Subscription subscription) {
            queue = (Fuseable.QueueSubscription<Integer>) subscription;
            mode = queue.requestFusion(requestedMode);
        }

        @Override
        public void onNext(Integer element) {
            if (mode != Fuseable.ASYNC) {
                throw new AssertionError("pushed: " + element);
            }
        }

        @Override
        public void onError(Throwable error) {
            throw new AssertionError(error);
        }

        @Override
        public void onComplete() {
            throw new AssertionError("completed");
        }
    }

    @Test
    @DisplayName("synchronous fusion is agreed to if the source agrees")
    void syncFusion() {
        assertThat(Puller.of(recorder.on(Flux.range(1, 3))).mode).isEqualTo(Fuseable.SYNC);
        assertThat(Puller.of(recorder.on(Flux.fromArray(new Integer[] {1, 2})), Fuseable.ANY).mode)
                .isEqualTo(Fuseable.SYNC);
        assertThat(Puller.of(recorder.on(Flux.range(1, 3)), Fuseable.SYNC | Fuseable.THREAD_BARRIER).mode)
                .isEqualTo(Fuseable.SYNC);
    }

    @Test
    @DisplayName("synchronous fusion goes through two taps")
    void syncFusionThroughTwoTaps() {
        Recorder<Integer> second = new Recorder<>();
        Puller puller = Puller.of(second.on(recorder.on(Flux.range(1, 1))));

        assertThat(puller.mode).isEqualTo(Fuseable.SYNC);
        assertThat(puller.queue.poll()).isEqualTo(1);
        assertThat(puller.queue.poll()).isNull();
        assertThat(recorder.heard).containsExactly("heard 1", "heard complete");
        assertThat(second.heard).isEqualTo(recorder.heard);
    }

    @Test
    @DisplayName("there is no fusion with a source that has no queue")
    void unfusedSource() {
        assertThat(Puller.of(recorder.on(Flux.range(1, 3).hide()), Fuseable.ANY).mode)
                .isEqualTo(Fuseable.NONE);
    }

    @Test
    @DisplayName("there is no asynchronous fusion, not even with a source that could")
    void noAsyncFusion() {
        Flux<Integer> source =
                Sinks.many().unicast().<Integer>onBackpressureBuffer().asFlux();
        Flux<Integer> other =
                Sinks.many().unicast().<Integer>onBackpressureBuffer().asFlux();
        assertThat(Puller.of(source, Fuseable.ASYNC).mode).isEqualTo(Fuseable.ASYNC);

        assertThat(Puller.of(recorder.on(other), Fuseable.ASYNC).mode).isEqualTo(Fuseable.NONE);
        assertThat(Puller.of(
                                recorder.on(Sinks.many()
                                        .unicast()
                                        .<Integer>onBackpressureBuffer()
                                        .asFlux()),
                                Fuseable.ANY)
                        .mode)
                .isEqualTo(Fuseable.NONE);
        assertThat(Puller.of(recorder.on(Flux.range(1, 3)), Fuseable.ASYNC).mode)
                .isEqualTo(Fuseable.NONE);
    }

    @Test
    @DisplayName("a source that refuses a thread barrier is asked about it, and refuses")
    void threadBarrier() {
        Flux<Integer> mapped = Flux.range(1, 3).map(element -> element + 1);

        assertThat(Puller.of(recorder.on(mapped), Fuseable.SYNC | Fuseable.THREAD_BARRIER).mode)
                .isEqualTo(Fuseable.NONE);
        assertThat(Puller.of(recorder.on(mapped), Fuseable.SYNC).mode).isEqualTo(Fuseable.SYNC);
    }

    @Test
    @DisplayName("what is pulled is heard, and the null after the last element is the end")
    void poll() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2)));
        assertThat(recorder.heard).isEmpty();

        assertThat(puller.queue.poll()).isEqualTo(1);
        assertThat(recorder.heard).containsExactly("heard 1");
        assertThat(puller.queue.size()).isEqualTo(1);
        assertThat(puller.queue.poll()).isEqualTo(2);
        assertThat(recorder.heard).containsExactly("heard 1", "heard 2");
        assertThat(puller.queue.poll()).isNull();
        assertThat(puller.queue.poll()).isNull();
        assertThat(puller.queue.isEmpty()).isTrue();

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard complete");
    }

    @Test
    @DisplayName("an empty queue is the end, since some consumers learn of it there only")
    void isEmpty() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2)));

        assertThat(puller.queue.isEmpty()).isFalse();
        puller.queue.poll();
        puller.queue.poll();
        assertThat(recorder.heard).doesNotContain("heard complete");
        assertThat(puller.queue.isEmpty()).isTrue();

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard complete");
    }

    @Test
    @DisplayName("a queue that is cleared was cancelled, unless it had ended")
    void clear() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2)));
        puller.queue.poll();

        puller.queue.clear();

        assertThat(puller.queue.size()).isZero();
        assertThat(recorder.heard).containsExactly("heard 1", "heard cancel");

        Recorder<Integer> ended = new Recorder<>();
        Puller pulled = Puller.of(ended.on(Flux.range(1, 2)));
        pulled.queue.poll();
        pulled.queue.poll();
        pulled.queue.poll();
        pulled.queue.clear();
        assertThat(ended.heard).containsExactly("heard 1", "heard 2", "heard complete");
    }

    @Test
    @DisplayName("a fused stream that is cancelled is heard to be cancelled")
    void cancel() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2)));
        puller.queue.poll();

        puller.queue.cancel();
        puller.queue.clear();

        assertThat(recorder.heard).containsExactly("heard 1", "heard cancel");
    }

    @Test
    @DisplayName("an error out of a pull is heard and thrown on as it is")
    void pollThatThrows() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2).map(element -> {
            throw broken;
        })));

        assertThatIllegalStateException().isThrownBy(() -> puller.queue.poll()).isSameAs(broken);

        assertThat(recorder.heard).containsExactly("heard error broken");
    }

    @Test
    @DisplayName("T22: a listener that throws while elements are pulled changes nothing and is counted")
    void listenerThatThrows() {
        long before = MeasuringFailures.count();
        Puller puller = Puller.of(FluxTap.listen(Flux.range(1, 1), context -> new Recorder<Integer>() {
            @Override
            public void onNext(Integer element) {
                throw broken;
            }

            @Override
            public void onComplete() {
                throw broken;
            }
        }));

        assertThat(puller.queue.poll()).isEqualTo(1);
        assertThat(puller.queue.poll()).isNull();
        assertThat(MeasuringFailures.count() - before).isEqualTo(2);
    }

    @Test
    @DisplayName("a queue used without fusion says so")
    void queueWithoutFusion() {
        Puller puller = Puller.of(recorder.on(Flux.range(1, 2)), Fuseable.ASYNC);

        assertThatIllegalStateException()
                .isThrownBy(() -> puller.queue.poll())
                .withMessage("the queue of a subscription is used without synchronous fusion");
        assertThatIllegalStateException().isThrownBy(() -> puller.queue.size());
        assertThat(recorder.heard).isEmpty();
    }

    @Test
    @DisplayName("a fused stream that was pulled to its end scans as terminated, and a cancelled one as cancelled")
    void scan() {
        Puller ended = Puller.of(recorder.on(Flux.range(1, 1)));
        assertThat(Scannable.from(ended.queue).scan(Scannable.Attr.TERMINATED)).isFalse();
        ended.queue.poll();
        ended.queue.poll();
        Puller cancelled = Puller.of(recorder.on(Flux.range(1, 1)));
        cancelled.queue.cancel();

        assertThat(Scannable.from(ended.queue).scan(Scannable.Attr.TERMINATED)).isTrue();
        assertThat(Scannable.from(cancelled.queue).scan(Scannable.Attr.TERMINATED))
                .isFalse();
        assertThat(Scannable.from(cancelled.queue).scan(Scannable.Attr.CANCELLED))
                .isTrue();
    }

    @Test
    @DisplayName("publishOn behind the tap pulls through it on its own thread: the fusion is not broken")
    void publishOnPulls() {
        List<String> threads = new CopyOnWriteArrayList<>();
        Flux<Integer> tapped = FluxTap.listen(Flux.range(1, 5), context -> new Recorder<Integer>(recorder.heard) {
            @Override
            public void onNext(Integer element) {
                threads.add(Thread.currentThread().getName().replaceFirst("-\\d+$", ""));
                super.onNext(element);
            }
        });

        StepVerifier.create(tapped.publishOn(scheduler))
                .expectNext(1, 2, 3, 4, 5)
                .verifyComplete();

        assertThat(threads).hasSize(5).containsOnly("barrier");
        assertThat(recorder.heard).hasSize(6).endsWith("heard complete");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 255, 256, 257, 1000})
    @DisplayName("behind publishOn a fused stream of any length is heard whole, its end before the downstream sees it")
    void publishOnLengths(int length) {
        List<String> page = recorder.heard;
        Flux<Integer> seen =
                recorder.on(Flux.range(0, length)).publishOn(scheduler).doOnComplete(() -> page.add("saw complete"));

        StepVerifier.create(seen).expectNextCount(length).verifyComplete();

        List<String> expected = new ArrayList<>(
                IntStream.range(0, length).mapToObj(i -> "heard " + i).toList());
        expected.add("heard complete");
        expected.add("saw complete");
        assertThat(page).isEqualTo(expected);
    }

    @Test
    @DisplayName(
            "a consumer whose demand is met exactly learns of the end from the empty queue, and so does the listener")
    void exactDemand() {
        StepVerifier.create(recorder.on(Flux.range(1, 3)).publishOn(scheduler), 3)
                .expectNext(1, 2, 3)
                .verifyComplete();

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard 3", "heard complete");
    }

    @Test
    @DisplayName("an error while publishOn pulls is heard and arrives as it is")
    void publishOnError() {
        Flux<Integer> failing = Flux.<Integer, Integer>generate(() -> 1, (state, sink) -> {
            if (state == 3) {
                sink.error(broken);
            } else {
                sink.next(state);
            }
            return state + 1;
        });

        StepVerifier.create(recorder.on(failing).publishOn(scheduler))
                .expectNext(1, 2)
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard error broken");
    }

    @Test
    @DisplayName("T7: a fused stream cut by take behind publishOn has one end")
    void publishOnTake() {
        StepVerifier.create(
                        recorder.on(Flux.range(1, 10)).publishOn(scheduler, 1).take(2))
                .expectNext(1, 2)
                .verifyComplete();

        assertThat(recorder.heard)
                .startsWith("heard 1", "heard 2")
                .filteredOn(line -> line.matches("heard (complete|cancel)"))
                .hasSize(1);
    }

    @Test
    @DisplayName("inside flatMap and concatMap, which pull from fused inner streams, each is heard whole")
    void innerStreams() {
        StepVerifier.create(Flux.range(1, 3).hide().concatMap(i -> recorder.on(Flux.range(i * 10, 2))))
                .expectNext(10, 11, 20, 21, 30, 31)
                .verifyComplete();
        assertThat(recorder.heard).hasSize(9);
        assertThat(recorder.heard).filteredOn("heard complete"::equals).hasSize(3);

        Recorder<Integer> flat = new Recorder<>();
        StepVerifier.create(Flux.range(1, 3).hide().flatMap(i -> flat.on(Flux.range(i * 10, 2))))
                .expectNextCount(6)
                .verifyComplete();
        assertThat(flat.heard).hasSize(9);
        assertThat(flat.heard).filteredOn("heard complete"::equals).hasSize(3);
    }

    @Test
    @DisplayName("as the outer stream of concatMap and flatMap, which pull it, a fused stream is heard whole")
    void outerStream() {
        StepVerifier.create(recorder.on(Flux.range(1, 3))
                        .concatMap(i -> Flux.just(i).hide()))
                .expectNext(1, 2, 3)
                .verifyComplete();
        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard 3", "heard complete");

        Recorder<Integer> zipped = new Recorder<>();
        StepVerifier.create(
                        Flux.zip(zipped.on(Flux.range(1, 3)), Flux.range(1, 3).hide(), Integer::sum))
                .expectNext(2, 4, 6)
                .verifyComplete();
        assertThat(zipped.heard).startsWith("heard 1", "heard 2", "heard 3").hasSize(4);
    }
}
