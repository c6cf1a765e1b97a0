package io.fluxtally.usage.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.ThreadScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;
import reactor.test.StepVerifier;

class CallOnThreadTest {

    private final RunScope run = RunScope.start("run-1");
    private final List<@Nullable String> seen = new ArrayList<>();

    private void see() {
        UsageScope scope = ThreadScope.get();
        seen.add(
                scope == null || scope.runScope() == null
                        ? null
                        : scope.runScope().runId());
    }

    private <T> Flux<T> onThread(Flux<T> source) {
        return run.wrap(new CallOnThread<>(source));
    }

    @AfterEach
    void nothingIsLeft() {
        assertThat(ThreadScope.get()).isNull();
    }

    @Test
    @DisplayName("whoever is subscribed to finds the scope of the context on the thread, and nobody afterwards")
    void whileSubscribing() {
        onThread(Flux.defer(() -> {
                    see();
                    return Flux.empty();
                }))
                .blockLast();

        assertThat(seen).containsExactly("run-1");
    }

    @Test
    @DisplayName("what is emitted while subscribing is heard without the scope, and the source goes on with it")
    void whileEmitting() {
        onThread(Flux.<Integer>create(sink -> {
                    see();
                    sink.next(1);
                    see();
                    sink.complete();
                    see();
                }))
                .doOnSubscribe(subscription -> see())
                .doOnNext(element -> see())
                .doOnComplete(this::see)
                .blockLast();

        assertThat(seen).containsExactly(null, "run-1", null, "run-1", null, "run-1");
    }

    @Test
    @DisplayName("a subscriber that asks for elements while it is subscribed goes on without the scope")
    void whileRequesting() {
        onThread(Flux.range(1, 3).hide()).subscribe(new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                subscription.request(1);
                see();
            }
        });

        assertThat(seen).containsExactly((String) null);
    }

    @Test
    @DisplayName("the scope that the thread had before is there again, for signals and afterwards")
    void scopeBefore() {
        try (UsageScope.Binding binding = RunScope.start("run-0").bind()) {
            assertThat(binding).isNotNull();
            onThread(Flux.just(1)).doOnNext(element -> see()).blockLast();
            see();
        }

        assertThat(seen).containsExactly("run-0", "run-0");
    }

    @Test
    @DisplayName("what is emitted later is heard as it is")
    void later() {
        Sinks.Many<Integer> source = Sinks.many().unicast().onBackpressureBuffer();
        List<Integer> heard = new ArrayList<>();
        onThread(source.asFlux()).doOnNext(element -> see()).subscribe(heard::add);

        source.tryEmitNext(1);
        source.tryEmitComplete();

        assertThat(heard).containsExactly(1);
        assertThat(seen).containsExactly((String) null);
    }

    @Test
    @DisplayName("without a scope in the context nothing is bound")
    void noScope() {
        new CallOnThread<>(Flux.defer(() -> {
                    see();
                    return Flux.just(1);
                }))
                .blockLast();

        assertThat(seen).containsExactly((String) null);
    }

    @Test
    @DisplayName("errors, demand and cancels pass, and a subscription that throws leaves no scope behind")
    void otherSignals() {
        StepVerifier.create(onThread(Flux.range(1, 10)), 2)
                .expectNext(1, 2)
                .thenRequest(1)
                .expectNext(3)
                .thenCancel()
                .verify();
        StepVerifier.create(onThread(Flux.error(new IllegalStateException("x"))))
                .verifyErrorMessage("x");
        assertThatThrownBy(() -> onThread(new Flux<Integer>() {
                            @Override
                            public void subscribe(CoreSubscriber<? super Integer> actual) {
                                throw new OutOfMemoryError("x");
                            }
                        })
                        .blockLast())
                .isInstanceOf(OutOfMemoryError.class);
    }
}
