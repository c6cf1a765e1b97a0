package io.fluxtally.alibaba;

import io.fluxtally.usage.chat.ChatUsage;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.util.context.Context;

/**
 * What a node streams: captured if it is a model's, subscribed to in the node's scope, and handed on in the graph's, which
 * goes on to the next node when it ends.
 *
 * <p>It requests what is requested of it and changes nothing.
 *
 * @param <T> the type of the elements
 */
final class NodeFlux<T> extends FluxOperator<T, T> {

    private final NodeRun node;
    private final String actionName;

    private NodeFlux(Flux<T> source, NodeRun node, String actionName) {
        super(source);
        this.node = node;
        this.actionName = actionName;
    }

    /**
     * The stream of a node's execution.
     *
     * @param actionName the simple name of the class of the node's action
     */
    static <T> NodeFlux<T> of(Flux<T> source, NodeRun node, String actionName) {
        return new NodeFlux<>(ChatUsage.captureAny(source, node.run().recorder()), node, actionName);
    }

    NodeRun node() {
        return node;
    }

    String actionName() {
        return actionName;
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        NodeSubscriber<T> subscriber = new NodeSubscriber<>(actual, node);
        RunThread.inside(node, () -> source.subscribe(subscriber));
    }

    private static final class NodeSubscriber<T> implements CoreSubscriber<T>, Subscription, Scannable {

        private final CoreSubscriber<? super T> actual;
        private final NodeRun node;
        private final Context context;
        private @Nullable Subscription upstream;

        NodeSubscriber(CoreSubscriber<? super T> actual, NodeRun node) {
            this.actual = actual;
            this.node = node;
            this.context = node.scope().writeTo(actual.currentContext());
        }

        @Override
        public Context currentContext() {
            return context;
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            upstream = subscription;
            RunThread.inside(node.run(), () -> actual.onSubscribe(this));
        }

        @Override
        public void onNext(T element) {
            node.run().hear(element);
            RunThread.Frame frame = RunThread.bind(node.run());
            try {
                actual.onNext(element);
            } finally {
                RunThread.unbind(frame);
            }
        }

        @Override
        public void onError(Throwable error) {
            RunThread.inside(node.run(), () -> actual.onError(error));
        }

        @Override
        public void onComplete() {
            RunThread.inside(node.run(), actual::onComplete);
        }

        @Override
        public void request(long n) {
            Subscription subscription = upstream;
            if (subscription != null) {
                RunThread.inside(node, () -> subscription.request(n));
            }
        }

        @Override
        public void cancel() {
            Subscription subscription = upstream;
            if (subscription != null) {
                RunThread.inside(node, subscription::cancel);
            }
        }

        @Override
        @SuppressWarnings("rawtypes") // as Scannable declares it
        public @Nullable Object scanUnsafe(Attr key) {
            if (key == Attr.PARENT) {
                return upstream;
            }
            if (key == Attr.RUN_STYLE) {
                return Attr.RunStyle.SYNC;
            }
            return key == Attr.ACTUAL ? actual : null;
        }
    }
}
