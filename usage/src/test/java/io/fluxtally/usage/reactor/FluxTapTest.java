package io.fluxtally.usage.reactor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.fluxtally.usage.scope.MeasuringFailures;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Fuseable;
import reactor.core.Scannable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;
import reactor.util.context.Context;

class FluxTapTest {

    private final Recorder<Integer> recorder = new Recorder<>();
    private final RuntimeException broken = new IllegalStateException("broken");

    @Test
    @DisplayName("a stream that completes is passed on as it is, and heard to its end")
    void complete() {
        StepVerifier.create(recorder.on(Flux.just(1, 2))).expectNext(1, 2).verifyComplete();

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard complete");
    }

    @Test
    @DisplayName("a stream that fails is passed on with its own error, and heard to its end")
    void error() {
        StepVerifier.create(recorder.on(Flux.just(1).concatWith(Mono.error(broken))))
                .expectNext(1)
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));

        assertThat(recorder.heard).containsExactly("heard 1", "heard error broken");
    }

    @Test
    @DisplayName("T7: a stream that is cancelled is heard to its end")
    void cancel() {
        TestPublisher<Integer> source = TestPublisher.create();

        StepVerifier.create(recorder.on(source.flux()))
                .then(() -> source.next(1))
                .expectNext(1)
                .thenCancel()
                .verify();

        source.assertWasCancelled();
        assertThat(recorder.heard).containsExactly("heard 1", "heard cancel");
    }

    @Test
    @DisplayName("a stream that is empty is heard to complete")
    void empty() {
        StepVerifier.create(recorder.on(Flux.empty())).verifyComplete();

        assertThat(recorder.heard).containsExactly("heard complete");
    }

    @Test
    @DisplayName("a stream that fails at once is heard to fail")
    void failsAtOnce() {
        StepVerifier.create(recorder.on(Flux.error(broken))).verifyErrorMessage("broken");

        assertThat(recorder.heard).containsExactly("heard error broken");
    }

    @Test
    @DisplayName("a cancel that comes after the end is passed upstream and is no second end")
    void lateCancel() {
        TestPublisher<Integer> source = TestPublisher.createNoncompliant(TestPublisher.Violation.CLEANUP_ON_TERMINATE);
        AtomicReference<Subscription> subscription = new AtomicReference<>();
        recorder.on(source.flux()).doOnSubscribe(subscription::set).subscribe();
        source.complete();

        subscription.get().cancel();

        source.assertCancelled();
        assertThat(recorder.heard).containsExactly("heard complete");
    }

    @Test
    @DisplayName("T7: a timeout is a cancel")
    void timeout() {
        StepVerifier.withVirtualTime(() ->
                        recorder.on(Flux.concat(Flux.just(1), Flux.never())).timeout(Duration.ofMinutes(1)))
                .expectNext(1)
                .thenAwait(Duration.ofMinutes(1))
                .verifyError(TimeoutException.class);

        assertThat(recorder.heard).containsExactly("heard 1", "heard cancel");
    }

    @Test
    @DisplayName("T8: state belongs to the subscription: each has a listener of its own, in turn and side by side")
    void resubscription() {
        List<Recorder<Integer>> recorders = new CopyOnWriteArrayList<>();
        Sinks.Many<Integer> source = Sinks.many().multicast().directBestEffort();
        Flux<Integer> tapped = FluxTap.listen(source.asFlux(), context -> {
            Recorder<Integer> own = new Recorder<>();
            recorders.add(own);
            return own;
        });
        assertThat(recorders).isEmpty();

        tapped.take(1).subscribe();
        tapped.subscribe();
        source.tryEmitNext(1).orThrow();
        source.tryEmitNext(2).orThrow();
        source.tryEmitComplete().orThrow();
        tapped.subscribe();

        assertThat(recorders)
                .extracting(each -> each.heard)
                .containsExactly(
                        List.of("heard 1", "heard cancel"),
                        List.of("heard 1", "heard 2", "heard complete"),
                        List.of("heard complete"));
    }

    @Test
    @DisplayName("T8: a retry is another subscription, with another listener")
    void retry() {
        List<Recorder<Integer>> recorders = new ArrayList<>();
        AtomicInteger tries = new AtomicInteger();
        Flux<Integer> source = Flux.defer(
                () -> tries.getAndIncrement() == 0 ? Flux.just(1).concatWith(Flux.error(broken)) : Flux.just(2));

        StepVerifier.create(FluxTap.listen(source, context -> {
                            Recorder<Integer> own = new Recorder<>();
                            recorders.add(own);
                            return own;
                        })
                        .retry(1))
                .expectNext(1, 2)
                .verifyComplete();

        assertThat(recorders)
                .extracting(each -> each.heard)
                .containsExactly(List.of("heard 1", "heard error broken"), List.of("heard 2", "heard complete"));
    }

    @Test
    @DisplayName("an element is heard before the downstream sees it, and so is the end")
    void order() {
        Flux<Integer> tapped = recorder.on(Flux.just(1, 2).hide());

        tapped.doOnNext(element -> recorder.heard.add("saw " + element))
                .doOnComplete(() -> recorder.heard.add("saw complete"))
                .subscribe();

        assertThat(recorder.heard)
                .containsExactly("heard 1", "saw 1", "heard 2", "saw 2", "heard complete", "saw complete");
    }

    @Test
    @DisplayName("an error is heard before the downstream sees it")
    void orderOfError() {
        recorder.on(Flux.error(broken))
                .doOnError(error -> recorder.heard.add("saw error"))
                .onErrorComplete()
                .subscribe();

        assertThat(recorder.heard).containsExactly("heard error broken", "saw error");
    }

    @Test
    @DisplayName("a cancel is heard after it went upstream")
    void orderOfCancel() {
        recorder.on(Flux.<Integer>never().doOnCancel(() -> recorder.heard.add("went upstream")))
                .subscribe()
                .dispose();

        assertThat(recorder.heard).containsExactly("went upstream", "heard cancel");
    }

    @Test
    @DisplayName("T7: a downstream that throws cancels the stream, gets its own error, and the listener hears one end")
    void downstreamFailure() {
        TestPublisher<Integer> source = TestPublisher.create();

        StepVerifier.create(recorder.on(source.flux()).map(element -> {
                    throw broken;
                }))
                .then(() -> source.next(1))
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));

        source.assertWasCancelled();
        assertThat(recorder.heard).containsExactly("heard 1", "heard cancel");
    }

    @Test
    @DisplayName("T7: a subscriber that throws out of onNext is as it would be without the tap")
    void subscriberThatThrows() {
        TestPublisher<Integer> source = TestPublisher.createNoncompliant(TestPublisher.Violation.DEFER_CANCELLATION);
        recorder.on(source.flux()).subscribe(new CoreSubscriber<>() {
            @Override
            public void onSubscribe(Subscription subscription) {
                subscription.request(Long.MAX_VALUE);
            }

            @Override
            public void onNext(Integer element) {
                throw broken;
            }

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onComplete() {}
        });

        assertThatIllegalStateException().isThrownBy(() -> source.next(1)).isSameAs(broken);
        assertThat(recorder.heard).containsExactly("heard 1");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName(
            "T22: a listener that throws in everything changes neither elements nor end, and each failure is counted")
    void listenerThatThrows(boolean conditional) {
        StreamListener<Integer> failing = new FailingListener();
        long before = MeasuringFailures.count();

        StepVerifier.create(behind(FluxTap.listen(Flux.just(1, 2).hide(), context -> failing), conditional))
                .expectNext(1, 2)
                .verifyComplete();
        StepVerifier.create(behind(FluxTap.listen(Flux.<Integer>error(broken), context -> failing), conditional))
                .verifyErrorSatisfies(error -> assertThat(error).isSameAs(broken));
        TestPublisher<Integer> source = TestPublisher.create();
        StepVerifier.create(behind(FluxTap.listen(source.flux(), context -> failing), conditional))
                .thenRequest(1)
                .thenCancel()
                .verify();

        source.assertWasCancelled();
        assertThat(MeasuringFailures.count() - before).isEqualTo(5);
    }

    private static Flux<Integer> behind(Flux<Integer> tapped, boolean conditional) {
        return conditional ? tapped.filter(element -> true) : tapped;
    }

    private static final class FailingListener implements StreamListener<Integer> {

        @Override
        public void onNext(Integer element) {
            throw new IllegalStateException("listener");
        }

        @Override
        public void onComplete() {
            throw new StackOverflowError("listener");
        }

        @Override
        public void onError(Throwable error) {
            throw new AssertionError("listener");
        }

        @Override
        public void onCancel() {
            throw new IllegalStateException("listener");
        }
    }

    @Test
    @DisplayName("T22: where no listener can be made, that subscription goes on unheard and the failure is counted")
    void noListener() {
        long before = MeasuringFailures.count();
        Flux<Integer> throwing = FluxTap.listen(Flux.just(1, 2), context -> {
            throw broken;
        });
        Flux<Integer> withoutContext = FluxTap.listen(Flux.just(1, 2), context -> new Recorder<Integer>() {
            @Override
            public Context upstreamContext(Context downstream) {
                throw broken;
            }
        });
        Flux<Integer> withNull = FluxTap.listen(Flux.just(1, 2), context -> null);

        for (Flux<Integer> tapped : List.of(throwing, withoutContext, withNull)) {
            StepVerifier.create(tapped).expectNext(1, 2).verifyComplete();
        }

        assertThat(MeasuringFailures.count() - before).isEqualTo(3);
    }

    @Test
    @DisplayName("what is missing is refused when the tap is put in, not when it is subscribed to")
    void missingArguments() {
        assertThatNullPointerException()
                .isThrownBy(() -> FluxTap.<Integer>listen(Flux.never(), null))
                .withMessage("listeners");
        assertThatNullPointerException().isThrownBy(() -> FluxTap.<Integer>listen(null, context -> recorder));
    }

    @Test
    @DisplayName("a listener is made from the downstream's context, and the upstream sees the context it makes")
    void context() {
        AtomicReference<String> downstream = new AtomicReference<>();
        Flux<String> source = Flux.deferContextual(context ->
                Flux.just(context.getOrDefault("user", "nobody") + " in " + context.getOrDefault("scope", "no scope")));

        Flux<String> tapped = FluxTap.listen(source, context -> {
            downstream.set(context.getOrDefault("user", "nobody"));
            return new Recorder<String>() {
                @Override
                public Context upstreamContext(Context current) {
                    return current.put("scope", "a call");
                }
            };
        });

        StepVerifier.create(tapped.contextWrite(Context.of("user", "ada")))
                .expectNext("ada in a call")
                .verifyComplete();
        assertThat(downstream).hasValue("ada");
    }

    @Test
    @DisplayName("back-pressure passes through unchanged, request by request")
    void backPressure() {
        List<Long> requests = new ArrayList<>();
        Flux<Integer> source = Flux.range(1, 10).hide().doOnRequest(requests::add);

        StepVerifier.create(recorder.on(source), 0)
                .thenRequest(1)
                .expectNext(1)
                .thenRequest(3)
                .expectNext(2, 3, 4)
                .then(() -> assertThat(recorder.heard).hasSize(4))
                .thenRequest(2)
                .expectNext(5, 6)
                .thenCancel()
                .verify();

        assertThat(requests).containsExactly(1L, 3L, 2L);
    }

    @Test
    @DisplayName("a stream without demand is not asked for anything")
    void noDemand() {
        TestPublisher<Integer> source = TestPublisher.create();

        StepVerifier.create(recorder.on(source.flux()), 0)
                .then(source::assertWasNotRequested)
                .thenCancel()
                .verify();

        assertThat(recorder.heard).containsExactly("heard cancel");
    }

    @Test
    @DisplayName("an element that a conditional downstream refuses is heard, and the refusal reaches the source")
    void conditionalDownstream() {
        List<Long> requests = new ArrayList<>();
        Flux<Integer> odd =
                recorder.on(Flux.range(1, 5).hide().doOnRequest(requests::add)).filter(element -> element % 2 == 1);
        StepVerifier.create(odd).expectNext(1, 3, 5).verifyComplete();
        assertThat(recorder.heard)
                .containsExactly("heard 1", "heard 2", "heard 3", "heard 4", "heard 5", "heard complete");

        Refusing refusing = new Refusing();
        Recorder<Integer> second = new Recorder<>();
        TapSubscriber.Conditional<Integer> tap = new TapSubscriber.Conditional<>(refusing, second);
        tap.onSubscribe(Operators.emptySubscription());

        assertThat(tap.tryOnNext(1)).isTrue();
        assertThat(tap.tryOnNext(2)).isFalse();
        tap.onNext(3);
        assertThat(refusing.seen).containsExactly("tried 1", "tried 2", "given 3");
        assertThat(second.heard).containsExactly("heard 1", "heard 2", "heard 3");
    }

    @Test
    @DisplayName("a source that heeds refusals sends another element in place of each refused one, on one request")
    void refusalsDoNotCountAgainstDemand() {
        List<Long> requests = new ArrayList<>();
        Flux<Integer> even =
                recorder.on(Flux.range(1, 10).doOnRequest(requests::add)).filter(element -> element % 2 == 0);

        StepVerifier.create(even, 2).expectNext(2, 4).thenCancel().verify();

        assertThat(recorder.heard).containsExactly("heard 1", "heard 2", "heard 3", "heard 4", "heard cancel");
        assertThat(requests).containsExactly(2L);
    }

    /** Takes odd elements only. */
    private static final class Refusing implements Fuseable.ConditionalSubscriber<Integer> {

        private final List<String> seen = new ArrayList<>();

        @Override
        public boolean tryOnNext(Integer element) {
            seen.add("tried " + element);
            return element % 2 == 1;
        }

        @Override
        public void onSubscribe(Subscription subscription) {}

        @Override
        public void onNext(Integer element) {
            seen.add("given " + element);
        }

        @Override
        public void onError(Throwable error) {}

        @Override
        public void onComplete() {}
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("signals after the end are dropped as Reactor drops them: unheard, and not passed on")
    void signalsAfterTheEnd(boolean conditional) {
        TestPublisher<Integer> source = TestPublisher.createNoncompliant(TestPublisher.Violation.CLEANUP_ON_TERMINATE);
        List<String> seen = new ArrayList<>();

        StepVerifier.create(
                        behind(recorder.on(source.flux()), conditional).doOnNext(element -> seen.add("saw " + element)))
                .then(() -> source.next(1))
                .expectNext(1)
                .then(source::complete)
                .then(() -> source.next(2))
                .then(() -> source.error(broken))
                .then(source::complete)
                .expectComplete()
                .verifyThenAssertThat()
                .hasDroppedExactly(2)
                .hasDroppedErrorsSatisfying(errors -> assertThat(errors).containsExactly(broken));

        assertThat(recorder.heard).containsExactly("heard 1", "heard complete");
        assertThat(seen).containsExactly("saw 1");
    }

    @Test
    @DisplayName("signals after an error are dropped too")
    void signalsAfterAnError() {
        TestPublisher<Integer> source = TestPublisher.createNoncompliant(TestPublisher.Violation.CLEANUP_ON_TERMINATE);
        RuntimeException second = new IllegalStateException("second");

        StepVerifier.create(recorder.on(source.flux()))
                .then(() -> source.error(broken))
                .then(() -> source.error(second))
                .then(() -> source.next(1))
                .then(source::complete)
                .expectErrorMessage("broken")
                .verifyThenAssertThat()
                .hasDroppedExactly(1)
                .hasDroppedErrorsSatisfying(errors -> assertThat(errors).containsExactly(second));

        assertThat(recorder.heard).containsExactly("heard error broken");
    }

    @Test
    @DisplayName("an element dropped after the end counts as taken, so that the source sends no other in its place")
    void droppedElementCountsAsTaken() {
        List<Object> dropped = new ArrayList<>();
        Context context = Context.of("reactor.onNextDropped.local", (Consumer<Object>) dropped::add);
        Recorder<Integer> inContext = new Recorder<>() {
            @Override
            public Context upstreamContext(Context downstream) {
                return context;
            }
        };
        TapSubscriber.Conditional<Integer> tap = new TapSubscriber.Conditional<>(new Refusing(), inContext);
        tap.onSubscribe(Operators.emptySubscription());
        tap.onComplete();

        assertThat(tap.tryOnNext(2)).isTrue();
        assertThat(dropped).containsExactly(2);
    }

    @Test
    @DisplayName("a second subscription is cancelled, and the first goes on")
    void doubleOnSubscribe() {
        AtomicInteger cancelled = new AtomicInteger();
        List<String> downstream = new ArrayList<>();
        BaseSubscriber<Integer> actual = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                downstream.add("subscribed");
                subscription.request(5);
            }
        };
        TapSubscriber<Integer> tap = new TapSubscriber<>(actual, recorder);
        List<String> first = new ArrayList<>();

        tap.onSubscribe(subscription(n -> first.add("request " + n), () -> first.add("cancel")));
        tap.onSubscribe(subscription(n -> {}, cancelled::incrementAndGet));
        tap.request(3);

        assertThat(cancelled).hasValue(1);
        assertThat(downstream).containsExactly("subscribed");
        assertThat(first).containsExactly("request 5", "request 3");
        assertThat(recorder.heard).isEmpty();
    }

    private static Subscription subscription(LongConsumer onRequest, Runnable onCancel) {
        return new Subscription() {
            @Override
            public void request(long n) {
                onRequest.accept(n);
            }

            @Override
            public void cancel() {
                onCancel.run();
            }
        };
    }

    @Test
    @DisplayName("a subscription used before there is one says so")
    void usedBeforeOnSubscribe() {
        TapSubscriber<Integer> tap = new TapSubscriber<>(new BaseSubscriber<>() {}, recorder);

        assertThatIllegalStateException()
                .isThrownBy(() -> tap.request(1))
                .withMessage("a subscription is used before onSubscribe");
    }

    @Test
    @DisplayName("an error of the JVM out of a listener is thrown on, not swallowed")
    void fatal() {
        OutOfMemoryError fatal = new OutOfMemoryError("not really");
        TapSubscriber<Integer> tap = new TapSubscriber<>(new BaseSubscriber<>() {}, new Recorder<>() {
            @Override
            public void onNext(Integer element) {
                throw fatal;
            }
        });
        tap.onSubscribe(Operators.emptySubscription());

        assertThatExceptionOfType(OutOfMemoryError.class)
                .isThrownBy(() -> tap.onNext(1))
                .isSameAs(fatal);
    }

    @Test
    @DisplayName("the subscription can be scanned through from end to end")
    void scanSubscription() {
        TapSubscriber<Integer> actual = new TapSubscriber<>(
                new BaseSubscriber<>() {
                    @Override
                    protected void hookOnSubscribe(Subscription subscription) {}
                },
                recorder);
        TapSubscriber<Integer> tap = new TapSubscriber<>(actual, recorder);
        TapSubscriber<Integer> parent = new TapSubscriber<>(tap, recorder);
        tap.onSubscribe(parent);
        Scannable scannable = Scannable.from(tap);

        assertThat(scannable.scan(Scannable.Attr.PARENT)).isSameAs(parent);
        assertThat(scannable.scan(Scannable.Attr.ACTUAL)).isSameAs(actual);
        assertThat(scannable.scan(Scannable.Attr.RUN_STYLE)).isEqualTo(Scannable.Attr.RunStyle.SYNC);
        assertThat(scannable.scan(Scannable.Attr.PREFETCH)).isZero();
        assertThat(scannable.scan(Scannable.Attr.TERMINATED)).isFalse();
        assertThat(scannable.scan(Scannable.Attr.CANCELLED)).isFalse();
        assertThat(scannable.scan(Scannable.Attr.BUFFERED)).isZero();

        tap.onComplete();
        assertThat(scannable.scan(Scannable.Attr.TERMINATED)).isTrue();
        assertThat(scannable.scan(Scannable.Attr.CANCELLED)).isFalse();
    }

    @Test
    @DisplayName("a subscription that was cancelled scans as cancelled, and one that failed as terminated")
    void scanEnds() {
        TapSubscriber<Integer> cancelled = new TapSubscriber<>(new BaseSubscriber<>() {}, recorder);
        cancelled.onSubscribe(Operators.emptySubscription());
        cancelled.cancel();
        TapSubscriber<Integer> failed = new TapSubscriber<>(
                new BaseSubscriber<>() {
                    @Override
                    protected void hookOnError(Throwable error) {}
                },
                new Recorder<>());
        failed.onSubscribe(Operators.emptySubscription());
        failed.onError(broken);

        assertThat(cancelled.scan(Scannable.Attr.CANCELLED)).isTrue();
        assertThat(cancelled.scan(Scannable.Attr.TERMINATED)).isFalse();
        assertThat(failed.scan(Scannable.Attr.TERMINATED)).isTrue();
        assertThat(failed.scan(Scannable.Attr.CANCELLED)).isFalse();
    }

    @Test
    @DisplayName("the publisher scans as its source where it has nothing of its own to say")
    void scanPublisher() {
        Flux<Integer> source = Flux.just(1, 2);
        Scannable tapped = Scannable.from(recorder.on(source));

        assertThat(tapped.scan(Scannable.Attr.PARENT)).isSameAs(source);
        assertThat(tapped.scan(Scannable.Attr.RUN_STYLE)).isEqualTo(Scannable.Attr.RunStyle.SYNC);
        assertThat(tapped.scan(Scannable.Attr.PREFETCH)).isEqualTo(source.getPrefetch());
    }

    @Test
    @DisplayName("an element that is still on its way after a cancel is not heard any more")
    void notHeardAfterCancel() {
        TapSubscriber<Integer> tap = new TapSubscriber<>(new BaseSubscriber<>() {}, recorder);
        tap.onSubscribe(Operators.emptySubscription());

        tap.cancel();
        tap.onNext(1);

        assertThat(recorder.heard).containsExactly("heard cancel");
    }

    @Test
    @DisplayName("a cancel is heard even if the upstream throws out of it")
    void upstreamThrowsOutOfCancel() {
        TapSubscriber<Integer> tap = new TapSubscriber<>(new BaseSubscriber<>() {}, recorder);
        tap.onSubscribe(new Subscription() {
            @Override
            public void request(long n) {}

            @Override
            public void cancel() {
                throw broken;
            }
        });

        assertThatIllegalStateException().isThrownBy(tap::cancel).isSameAs(broken);
        assertThat(recorder.heard).containsExactly("heard cancel");
    }
}
