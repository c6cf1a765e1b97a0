package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.wire.WireRequest;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.web.reactive.function.BodyExtractors;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoOperator;
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

    private static final class Awaiting extends TappedSubscriber<ClientResponse> {

        private boolean cancelled;
        private boolean left;
        private boolean answered;

        Awaiting(CoreSubscriber<? super ClientResponse> actual, WireRequest wire) {
            super(actual, wire);
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
        @Override
        void stop() {
            synchronized (this) {
                if (answered || left) {
                    return;
                }
                left = true;
            }
            upstream().cancel();
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
