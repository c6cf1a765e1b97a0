package io.fluxtally.benchmarks.operator;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Fuseable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.util.context.Context;

/**
 * An operator that only passes on, with synchronous fusion and for conditional subscribers: the least that something in the
 * chain can cost.
 */
final class NoOp<T> extends FluxOperator<T, T> {

    NoOp(Flux<? extends T> source) {
        super(source);
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        if (actual instanceof Fuseable.ConditionalSubscriber) {
            @SuppressWarnings("unchecked")
            var conditional = (Fuseable.ConditionalSubscriber<? super T>) actual;
            source.subscribe(new Conditional<>(conditional));
        } else {
            source.subscribe(new Passing<>(actual));
        }
    }

    private static class Passing<T> implements CoreSubscriber<T>, Fuseable.QueueSubscription<T> {

        private final CoreSubscriber<? super T> actual;
        private @Nullable Subscription upstream;
        private Fuseable.@Nullable QueueSubscription<T> fused;

        Passing(CoreSubscriber<? super T> actual) {
            this.actual = actual;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            upstream = subscription;
            actual.onSubscribe(this);
        }

        @Override
        public void onNext(T element) {
            actual.onNext(element);
        }

        @Override
        public void onError(Throwable error) {
            actual.onError(error);
        }

        @Override
        public void onComplete() {
            actual.onComplete();
        }

        @Override
        public void request(long n) {
            Objects.requireNonNull(upstream).request(n);
        }

        @Override
        public void cancel() {
            Objects.requireNonNull(upstream).cancel();
        }

        @Override
        public int requestFusion(int requestedMode) {
            if ((requestedMode & Fuseable.SYNC) == 0 || !(upstream instanceof Fuseable.QueueSubscription)) {
                return Fuseable.NONE;
            }
            @SuppressWarnings("unchecked")
            var queue = (Fuseable.QueueSubscription<T>) upstream;
            int mode = queue.requestFusion(Fuseable.SYNC | (requestedMode & Fuseable.THREAD_BARRIER));
            if (mode == Fuseable.SYNC) {
                fused = queue;
            }
            return mode;
        }

        @Override
        public @Nullable T poll() {
            return queue().poll();
        }

        @Override
        public boolean isEmpty() {
            return queue().isEmpty();
        }

        @Override
        public int size() {
            return queue().size();
        }

        @Override
        public void clear() {
            queue().clear();
        }

        private Fuseable.QueueSubscription<T> queue() {
            return Objects.requireNonNull(fused);
        }
    }

    private static final class Conditional<T> extends Passing<T> implements Fuseable.ConditionalSubscriber<T> {

        private final Fuseable.ConditionalSubscriber<? super T> conditional;

        Conditional(Fuseable.ConditionalSubscriber<? super T> actual) {
            super(actual);
            this.conditional = actual;
        }

        @Override
        public boolean tryOnNext(T element) {
            return conditional.tryOnNext(element);
        }
    }
}
