package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.RunnableConfig;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.util.context.Context;

/**
 * The outputs of a graph, each subscription of which is a run: the graph's own code runs in the run's scope, and what the app
 * does with an output does not.
 *
 * <p>It requests what is requested of it, and changes nothing but the usage that an output carries.
 *
 * @param <T> the type of the outputs
 */
final class RunFlux<T> extends FluxOperator<T, T> {

    private final FluxtallyGraph graph;
    private final RunnableConfig config;
    private final BiConsumer<GraphRun, ? super T> completing;

    RunFlux(Flux<T> source, FluxtallyGraph graph, RunnableConfig config, BiConsumer<GraphRun, ? super T> completing) {
        super(source);
        this.graph = graph;
        this.config = config;
        this.completing = completing;
    }

    @Override
    public void subscribe(CoreSubscriber<? super T> actual) {
        GraphRun run;
        try {
            run = GraphRun.open(graph, config, actual.currentContext());
        } catch (Throwable failure) {
            MeasuringFailures.report("the start of a graph's run", failure);
            source.subscribe(actual);
            return;
        }
        RunSubscriber<T> subscriber = new RunSubscriber<>(actual, run, completing);
        RunThread.inside(run, () -> source.subscribe(subscriber));
    }

    private static final class RunSubscriber<T> implements CoreSubscriber<T>, Subscription, Scannable {

        private final CoreSubscriber<? super T> actual;
        private final GraphRun run;
        private final BiConsumer<GraphRun, ? super T> completing;
        private final Context context;
        private @Nullable Subscription upstream;

        RunSubscriber(CoreSubscriber<? super T> actual, GraphRun run, BiConsumer<GraphRun, ? super T> completing) {
            this.actual = actual;
            this.run = run;
            this.completing = completing;
            this.context = run.writeTo(actual.currentContext());
        }

        @Override
        public Context currentContext() {
            return context;
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            upstream = subscription;
            passOn(() -> actual.onSubscribe(this));
        }

        @Override
        public void onNext(T element) {
            completing.accept(run, element);
            passOn(() -> actual.onNext(element));
        }

        @Override
        public void onError(Throwable error) {
            passOn(() -> actual.onError(error));
        }

        @Override
        public void onComplete() {
            passOn(actual::onComplete);
        }

        /** An embedded run hands on to the node that it is embedded in, which binds what it needs. */
        private void passOn(Runnable signal) {
            if (run.isOutermost()) {
                RunThread.outside(run, signal);
            } else {
                signal.run();
            }
        }

        @Override
        public void request(long n) {
            Subscription subscription = upstream;
            if (subscription != null) {
                RunThread.inside(run, () -> subscription.request(n));
            }
        }

        @Override
        public void cancel() {
            Subscription subscription = upstream;
            if (subscription != null) {
                RunThread.inside(run, subscription::cancel);
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
