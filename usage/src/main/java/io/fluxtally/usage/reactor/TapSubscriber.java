package io.fluxtally.usage.reactor;

import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Fuseable;
import reactor.core.Scannable;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/** One subscription of a {@link FluxTap}. */
class TapSubscriber<T> implements CoreSubscriber<T>, Fuseable.QueueSubscription<T>, Scannable {

    private static final String PART = "the tap of a stream";

    /** Whichever of complete, error and cancel comes first ends the listening: two of them can come, on two threads. */
    @SuppressWarnings("rawtypes")
    private static final AtomicIntegerFieldUpdater<TapSubscriber> ENDED =
            AtomicIntegerFieldUpdater.newUpdater(TapSubscriber.class, "ended");

    private final CoreSubscriber<? super T> actual;
    private final StreamListener<? super T> listener;
    private final Context context;

    private volatile int ended;
    private @Nullable Subscription upstream;

    /** The upstream, if it agreed to synchronous fusion. */
    private Fuseable.@Nullable QueueSubscription<T> fused;

    private boolean done;
    private volatile boolean cancelled;

    TapSubscriber(CoreSubscriber<? super T> actual, StreamListener<? super T> listener) {
        this.actual = actual;
        this.listener = listener;
        this.context = listener.upstreamContext(actual.currentContext());
    }

    @Override
    public Context currentContext() {
        return context;
    }

    /** Whether this tap, and none around it, wrote the value into the context. */
    boolean wrote(Object key, Object value) {
        return context.getOrDefault(key, null) == value
                && actual.currentContext().getOrDefault(key, null) != value;
    }

    @Override
    public void onSubscribe(Subscription subscription) {
        if (Operators.validate(upstream, subscription)) {
            upstream = subscription;
            actual.onSubscribe(this);
        }
    }

    @Override
    public void onNext(T element) {
        if (hears(element)) {
            actual.onNext(element);
        }
    }

    /**
     * Lets the listener hear an element, unless the stream has ended already and the element is to be dropped. After a
     * cancel, elements may still be on their way; they go on, and nobody listens to them any more.
     */
    final boolean hears(T element) {
        if (ended == 0) {
            hear(element);
        } else if (done) {
            Operators.onNextDropped(element, context);
            return false;
        }
        return true;
    }

    @Override
    public void onError(Throwable error) {
        if (done) {
            Operators.onErrorDropped(error, context);
            return;
        }
        done = true;
        endWithError(error);
        actual.onError(error);
    }

    @Override
    public void onComplete() {
        if (done) {
            return;
        }
        done = true;
        endComplete();
        actual.onComplete();
    }

    @Override
    public void request(long n) {
        upstream().request(n);
    }

    @Override
    public void cancel() {
        cancelled = true;
        try {
            upstream().cancel();
        } finally {
            endCancelled();
        }
    }

    @Override
    public int requestFusion(int requestedMode) {
        if ((requestedMode & Fuseable.SYNC) == 0 || !(upstream instanceof Fuseable.QueueSubscription)) {
            return Fuseable.NONE;
        }
        @SuppressWarnings("unchecked")
        var queue = (Fuseable.QueueSubscription<T>) upstream;
        // What is pulled is heard on whatever thread pulls it, so a thread barrier does not matter here; whether it
        // does
        // to the upstream, the upstream decides.
        int mode = queue.requestFusion(Fuseable.SYNC | (requestedMode & Fuseable.THREAD_BARRIER));
        if (mode == Fuseable.SYNC) {
            fused = queue;
        }
        return mode;
    }

    @Override
    public @Nullable T poll() {
        Fuseable.QueueSubscription<T> queue = queue();
        T element;
        try {
            element = queue.poll();
        } catch (Throwable error) {
            endWithError(error);
            throw error;
        }
        if (element == null) {
            endComplete();
        } else if (ended == 0) {
            hear(element);
        }
        return element;
    }

    /** In synchronous fusion an empty queue is the end, and some consumers learn of it here only. */
    @Override
    public boolean isEmpty() {
        boolean empty;
        try {
            empty = queue().isEmpty();
        } catch (Throwable error) {
            endWithError(error);
            throw error;
        }
        if (empty) {
            endComplete();
        }
        return empty;
    }

    @Override
    public int size() {
        return queue().size();
    }

    @Override
    public void clear() {
        queue().clear();
        endCancelled();
    }

    private void hear(T element) {
        try {
            listener.onNext(element);
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    private void endComplete() {
        if (endsNow()) {
            try {
                listener.onComplete();
            } catch (Throwable failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
    }

    private void endWithError(Throwable error) {
        if (endsNow()) {
            try {
                listener.onError(error);
            } catch (Throwable failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
    }

    private void endCancelled() {
        if (endsNow()) {
            try {
                listener.onCancel();
            } catch (Throwable failure) {
                MeasuringFailures.report(PART, failure);
            }
        }
    }

    private boolean endsNow() {
        return ended == 0 && ENDED.compareAndSet(this, 0, 1);
    }

    private Subscription upstream() {
        Subscription subscription = upstream;
        if (subscription == null) {
            throw new IllegalStateException("a subscription is used before onSubscribe");
        }
        return subscription;
    }

    private Fuseable.QueueSubscription<T> queue() {
        Fuseable.QueueSubscription<T> queue = fused;
        if (queue == null) {
            throw new IllegalStateException("the queue of a subscription is used without synchronous fusion");
        }
        return queue;
    }

    @Override
    @SuppressWarnings("rawtypes") // as Scannable declares it
    public @Nullable Object scanUnsafe(Attr key) {
        if (key == Attr.PARENT) {
            return upstream;
        }
        if (key == Attr.ACTUAL) {
            return actual;
        }
        if (key == Attr.TERMINATED) {
            return done || (fused != null && ended != 0 && !cancelled);
        }
        if (key == Attr.CANCELLED) {
            return cancelled;
        }
        if (key == Attr.RUN_STYLE) {
            return Attr.RunStyle.SYNC;
        }
        if (key == Attr.PREFETCH) {
            return 0;
        }
        return null;
    }

    /** The subscription of a downstream that says of each element whether it counts against the demand. */
    static final class Conditional<T> extends TapSubscriber<T> implements Fuseable.ConditionalSubscriber<T> {

        private final Fuseable.ConditionalSubscriber<? super T> conditional;

        Conditional(Fuseable.ConditionalSubscriber<? super T> actual, StreamListener<? super T> listener) {
            super(actual, listener);
            this.conditional = actual;
        }

        @Override
        public boolean tryOnNext(T element) {
            // A dropped element counts as taken, or the source would send another in its place.
            return !hears(element) || conditional.tryOnNext(element);
        }
    }
}
