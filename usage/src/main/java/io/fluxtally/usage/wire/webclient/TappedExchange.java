package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.wire.WireRequest;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.web.reactive.function.BodyExtractors;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoOperator;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * An exchange whose response is awaited and read for a {@link WireRequest} alone when the downstream cancels before it is
 * there, as long as the request says so. When the model call behind it is left and the downstream does not cancel, it is
 * stopped.
 */
final class TappedExchange extends MonoOperator<ClientResponse, ClientResponse> {

    private final WireRequest wire;

    TappedExchange(Mono<ClientResponse> exchange, WireRequest wire) {
        super(exchange);
        this.wire = wire;
    }

    @Override
    public void subscribe(CoreSubscriber<? super ClientResponse> actual) {
        source.subscribe(new Awaiting(actual, wire));
    }

    private static final class Awaiting implements CoreSubscriber<ClientResponse>, Subscription, Scannable {

        private final CoreSubscriber<? super ClientResponse> actual;
        private final WireRequest wire;

        private boolean cancelled;
        private boolean left;
        private boolean answered;
        private @Nullable Subscription upstream;

        Awaiting(CoreSubscriber<? super ClientResponse> actual, WireRequest wire) {
            this.actual = actual;
            this.wire = wire;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            if (Operators.validate(upstream, subscription)) {
                upstream = subscription;
                WireTapExchangeFilter.stopsWithItsCall(wire, this, this::stop);
                actual.onSubscribe(this);
            }
        }

        @Override
        public void onNext(ClientResponse response) {
            boolean unseen;
            synchronized (this) {
                answered = true;
                unseen = left;
            }
            if (unseen) {
                UnseenBody body = new UnseenBody(currentContext());
                if (!wire.leave(body::cancel)) {
                    // It has been stopped while the response was on its way.
                    body.cancel();
                }
                response.body(BodyExtractors.toDataBuffers()).subscribe(body);
            } else {
                actual.onNext(response);
            }
        }

        @Override
        public void onError(Throwable error) {
            if (!hasLeft()) {
                actual.onError(error);
            }
        }

        @Override
        public void onComplete() {
            if (!hasLeft()) {
                actual.onComplete();
            }
        }

        private synchronized boolean hasLeft() {
            return left;
        }

        @Override
        public void request(long n) {
            upstream().request(n);
        }

        @Override
        public void cancel() {
            Subscription exchange = upstream();
            boolean drains;
            synchronized (this) {
                if (cancelled) {
                    return;
                }
                cancelled = true;
                drains = wire.leave(exchange::cancel);
                left |= drains && !answered;
            }
            if (drains) {
                exchange.request(Long.MAX_VALUE);
            } else {
                exchange.cancel();
                wire.cancelled();
            }
        }

        /** Stops it without a word to the downstream. A response that is there is stopped by its body. */
        private void stop() {
            synchronized (this) {
                if (answered || left) {
                    return;
                }
                left = true;
            }
            upstream().cancel();
        }

        private Subscription upstream() {
            Subscription subscription = upstream;
            if (subscription == null) {
                throw new IllegalStateException("a subscription is used before onSubscribe");
            }
            return subscription;
        }

        @Override
        @SuppressWarnings("rawtypes") // as Scannable declares it
        public @Nullable Object scanUnsafe(Attr key) {
            return key == Attr.ACTUAL ? actual : key == Attr.PARENT ? upstream : null;
        }
    }

    /** Reads a body to its end, for the request that hears it. */
    private static final class UnseenBody extends BaseSubscriber<DataBuffer> {

        private final Context context;

        UnseenBody(Context context) {
            this.context = context;
        }

        @Override
        public Context currentContext() {
            return context;
        }

        @Override
        protected void hookOnNext(DataBuffer buffer) {
            DataBufferUtils.release(buffer);
        }

        @Override
        protected void hookOnError(Throwable error) {}
    }
}
