package io.fluxtally.usage.wire.webclient;

import java.util.function.Function;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;

/** {@code Mono.deferContextual} with the subscriber itself in place of its context. */
final class DeferredMono<T> extends Mono<T> {

    private final Function<CoreSubscriber<?>, Mono<T>> factory;

    private DeferredMono(Function<CoreSubscriber<?>, Mono<T>> factory) {
        this.factory = factory;
    }

    static <T> Mono<T> of(Function<CoreSubscriber<?>, Mono<T>> factory) {
        return onAssembly(new DeferredMono<>(factory));
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        Mono<T> source;
        try {
            source = factory.apply(actual);
        } catch (Throwable error) {
            Operators.error(actual, Operators.onOperatorError(error, actual.currentContext()));
            return;
        }
        source.subscribe(actual);
    }
}
