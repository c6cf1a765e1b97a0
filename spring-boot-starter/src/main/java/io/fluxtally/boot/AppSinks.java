package io.fluxtally.boot;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.core.annotation.AnnotationAwareOrderComparator;
import reactor.core.Disposable;
import reactor.core.Disposables;

/**
 * Hands what is booked to every {@link UsageSink} that is a bean, for as long as the app is there: what the app's recorder
 * books, and what is booked where nobody names a recorder.
 *
 * <p>A sink may need beans that need a model, and a model the tap. So sinks are only looked for when all beans are there; what
 * is booked before that waits for them.
 */
final class AppSinks implements SmartInitializingSingleton, DisposableBean {

    private final ListableBeanFactory beans;
    private final Disposable.Composite added = Disposables.composite();
    private final List<UsageRecorder> recorders = new ArrayList<>();
    private final List<RequestUsage> early = new ArrayList<>();
    private volatile @Nullable List<UsageSink> sinks;

    AppSinks(ListableBeanFactory beans) {
        this.beans = beans;
        listenTo(UsageRecorder.shared());
    }

    /** Hands on what a recorder books from now on. A second time, it does nothing. */
    synchronized void listenTo(UsageRecorder recorder) {
        if (!recorders.contains(recorder)) {
            recorders.add(recorder);
            added.add(recorder.addSink(this::accept));
        }
    }

    private void accept(RequestUsage request) {
        List<UsageSink> found = sinks;
        if (found == null) {
            synchronized (early) {
                found = sinks;
                if (found == null) {
                    early.add(request);
                    return;
                }
            }
        }
        found.forEach(sink -> UsageRecorder.hand(request, sink));
    }

    @Override
    public void afterSingletonsInstantiated() {
        // A context's own alone: the sinks of a parent are the parent's to serve.
        List<UsageSink> found =
                new ArrayList<>(beans.getBeansOfType(UsageSink.class).values());
        AnnotationAwareOrderComparator.sort(found);
        // The recorder may be the app's own, or that of a parent.
        beans.getBeanProvider(UsageRecorder.class).stream().forEach(this::listenTo);
        List<RequestUsage> waiting = null;
        while (waiting == null || !waiting.isEmpty()) {
            synchronized (early) {
                waiting = List.copyOf(early);
                early.clear();
                if (waiting.isEmpty()) {
                    sinks = found;
                }
            }
            waiting.forEach(request -> found.forEach(sink -> UsageRecorder.hand(request, sink)));
        }
    }

    @Override
    public void destroy() {
        added.dispose();
    }
}
