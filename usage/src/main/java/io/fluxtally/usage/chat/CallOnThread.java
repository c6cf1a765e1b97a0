package io.fluxtally.usage.chat;

import io.fluxtally.usage.scope.ThreadScope;
import io.fluxtally.usage.scope.UsageScope;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.util.context.Context;

/**
 * A {@code Flux} that is subscribed to with the scope of its {@code Context} on the subscribing thread as well: for a
 * client that sends its request right then, by a way that knows no {@code Context}, as the AWS SDK does.
 *
 * <p>What is emitted while subscribing is the business of others and goes on without the scope.
 *
 * @param <T> the type of the elements
 */
final class CallOnThread<T> extends FluxOperator<T, T> {

    CallOnThread(Flux<? extends T> source) {
        super(source);
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        UsageScope scope = actual.currentContext().getOrDefault(UsageScope.KEY, null);
        if (scope == null) {
            source.subscribe(actual);
            return;
        }
        UsageScope outer = ThreadScope.get();
        OffThread<T> subscriber = new OffThread<>(actual, outer);
        ThreadScope.set(scope);
        try {
            source.subscribe(subscriber);
        } finally {
            subscriber.subscribing = null;
            ThreadScope.set(outer);
        }
    }

    /** Passes everything on, and while its thread is still subscribing, with the scope that the thread had before. */
    private static final class OffThread<T> implements CoreSubscriber<T>, Scannable {

        private final CoreSubscriber<? super T> actual;
        private final @Nullable UsageScope outer;

        /** Another thread may see it late, but it is never that thread. */
        private @Nullable Thread subscribing = Thread.currentThread();

        /**
         * Whether that thread is inside a signal and has the scope that it had before, so that what is asked for and
         * emitted in there passes at once. To another thread it does not matter.
         */
        private boolean passing;

        OffThread(CoreSubscriber<? super T> actual, @Nullable UsageScope outer) {
            this.actual = actual;
            this.outer = outer;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            passOn(() -> actual.onSubscribe(subscription));
        }

        @Override
        public void onNext(T element) {
            if (subscribing == null || passing) {
                actual.onNext(element);
            } else {
                passOn(() -> actual.onNext(element));
            }
        }

        @Override
        public void onError(Throwable error) {
            passOn(() -> actual.onError(error));
        }

        @Override
        public void onComplete() {
            passOn(actual::onComplete);
        }

        private void passOn(Runnable signal) {
            if (subscribing != Thread.currentThread() || passing) {
                signal.run();
                return;
            }
            UsageScope before = ThreadScope.get();
            ThreadScope.set(outer);
            passing = true;
            try {
                signal.run();
            } finally {
                passing = false;
                ThreadScope.set(before);
            }
        }

        @Override
        @SuppressWarnings("rawtypes") // as Scannable declares it
        public @Nullable Object scanUnsafe(Attr key) {
            return key == Attr.ACTUAL ? actual : null;
        }
    }
}
