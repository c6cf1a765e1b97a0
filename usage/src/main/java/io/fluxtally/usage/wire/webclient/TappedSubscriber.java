package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.wire.WireRequest;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * Stands between an exchange, or its body, and the client that reads it, and stops it when the model call behind it is left.
 *
 * @param <T> what passes
 */
abstract class TappedSubscriber<T> implements CoreSubscriber<T>, Subscription, Scannable {

    final CoreSubscriber<? super T> actual;
    final WireRequest wire;
    private @Nullable Subscription upstream;

    TappedSubscriber(CoreSubscriber<? super T> actual, WireRequest wire) {
        this.actual = actual;
        this.wire = wire;
    }

    /** Stops what is upstream without a word to the downstream, if that may be. */
    abstract void stop();

    @Override
    public final Context currentContext() {
        return actual.currentContext();
    }

    @Override
    public final void onSubscribe(Subscription subscription) {
        if (Operators.validate(upstream, subscription)) {
            upstream = subscription;
            WireTapExchangeFilter.stopsWithItsCall(wire, this, this::stop);
            actual.onSubscribe(this);
        }
    }

    @Override
    public final void request(long n) {
        upstream().request(n);
    }

    final Subscription upstream() {
        Subscription subscription = upstream;
        if (subscription == null) {
            throw new IllegalStateException("a subscription is used before onSubscribe");
        }
        return subscription;
    }

    @Override
    @SuppressWarnings("rawtypes") // as Scannable declares it
    public final @Nullable Object scanUnsafe(Attr key) {
        return key == Attr.ACTUAL ? actual : key == Attr.PARENT ? upstream : null;
    }
}
