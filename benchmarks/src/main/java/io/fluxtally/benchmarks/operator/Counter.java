package io.fluxtally.benchmarks.operator;

import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;

/** Counts the elements of a stream that ends on the thread that it was subscribed to, or fed, on. */
final class Counter implements CoreSubscriber<Object> {

    private long counted;
    private boolean completed;
    private @Nullable Throwable failure;

    static long of(Flux<?> stream) {
        Counter counter = new Counter();
        stream.subscribe(counter);
        return counter.counted();
    }

    @Override
    public void onSubscribe(Subscription subscription) {
        subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Object element) {
        counted++;
    }

    @Override
    public void onError(Throwable error) {
        failure = error;
    }

    @Override
    public void onComplete() {
        completed = true;
    }

    /** How many there were, of a stream that has completed. */
    long counted() {
        if (!completed) {
            throw new IllegalStateException("the stream has not completed", failure);
        }
        return counted;
    }
}
