package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.wire.WireRequest;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * A body that a {@link WireRequest} hears and that, when the downstream cancels, is read on for it alone as long as the
 * request says so.
 */
final class DrainedBody extends FluxOperator<DataBuffer, DataBuffer> {

    private final WireRequest wire;

    DrainedBody(Flux<DataBuffer> body, WireRequest wire) {
        super(body);
        this.wire = wire;
    }

    @Override
    public void subscribe(CoreSubscriber<? super DataBuffer> actual) {
        source.subscribe(new Reading(actual, wire));
    }

    private static final class Reading implements CoreSubscriber<DataBuffer>, Subscription {

        private final CoreSubscriber<? super DataBuffer> actual;
        private final WireRequest wire;

        private volatile boolean left;
        private @Nullable Subscription upstream;

        Reading(CoreSubscriber<? super DataBuffer> actual, WireRequest wire) {
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
                actual.onSubscribe(this);
            }
        }

        @Override
        public void onNext(DataBuffer buffer) {
            WireTapExchangeFilter.hear(buffer, wire);
            if (left) {
                DataBufferUtils.release(buffer);
            } else {
                actual.onNext(buffer);
            }
        }

        @Override
        public void onError(Throwable error) {
            wire.failed();
            if (!left) {
                actual.onError(error);
            }
        }

        @Override
        public void onComplete() {
            wire.completed();
            if (!left) {
                actual.onComplete();
            }
        }

        @Override
        public void request(long n) {
            upstream().request(n);
        }

        @Override
        public void cancel() {
            if (left) {
                return;
            }
            Subscription body = upstream();
            if (wire.leave(body::cancel)) {
                left = true;
                body.request(Long.MAX_VALUE);
            } else {
                body.cancel();
                wire.cancelled();
            }
        }

        private Subscription upstream() {
            Subscription subscription = upstream;
            if (subscription == null) {
                throw new IllegalStateException("a subscription is used before onSubscribe");
            }
            return subscription;
        }
    }
}
