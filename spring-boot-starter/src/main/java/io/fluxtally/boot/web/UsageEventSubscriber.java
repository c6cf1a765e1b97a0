package io.fluxtally.boot.web;

import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSum;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import org.springframework.http.codec.ServerSentEvent;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Operators;
import reactor.util.concurrent.Queues;
import reactor.util.context.Context;

/**
 * Puts usage events between data. It asks for as much data as is asked for here: an event that is put in takes the place of an
 * element, which waits for the next demand, and that is one less to ask for then. So what waits is never more than was put in.
 */
final class UsageEventSubscriber<T> implements CoreSubscriber<T>, Subscription {

    private final CoreSubscriber<? super ServerSentEvent<Object>> actual;
    private final UsageRun run;
    private final Queue<ServerSentEvent<Object>> events =
            Queues.<ServerSentEvent<Object>>unbounded(8).get();
    private final AtomicLong requested = new AtomicLong();

    /** How many events were put in that no demand was kept back for yet. */
    private final AtomicLong putIn = new AtomicLong();

    private final AtomicInteger draining = new AtomicInteger();
    private UsageSum told = UsageSum.EMPTY;
    private volatile boolean cancelled;
    private @Nullable Subscription upstream;

    /** Written before {@link #done}. */
    private @Nullable Throwable error;

    private volatile boolean done;

    UsageEventSubscriber(CoreSubscriber<? super ServerSentEvent<Object>> actual, UsageRun run) {
        this.actual = actual;
        this.run = run;
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
    public void onNext(T element) {
        if (done) {
            Operators.onNextDropped(element, currentContext());
            return;
        }
        events.offer(event(element));
        RunUsage usage = run.usage();
        if (!usage.sum().equals(told)) {
            told = usage.sum();
            putIn.incrementAndGet();
            events.offer(UsageEvents.event(run.id(), usage));
        }
        drain();
    }

    @SuppressWarnings("unchecked")
    private static ServerSentEvent<Object> event(Object element) {
        return element instanceof ServerSentEvent<?> event
                ? (ServerSentEvent<Object>) event
                : ServerSentEvent.<Object>builder(element).build();
    }

    @Override
    public void onError(Throwable failure) {
        if (done) {
            Operators.onErrorDropped(failure, currentContext());
            return;
        }
        error = failure;
        end();
    }

    @Override
    public void onComplete() {
        if (!done) {
            end();
        }
    }

    private void end() {
        events.offer(UsageEvents.of(run));
        done = true;
        drain();
    }

    @Override
    public void request(long n) {
        if (!Operators.validate(n)) {
            return;
        }
        requested.accumulateAndGet(n, Operators::addCap);
        drain();
        long data = n == Long.MAX_VALUE ? n : n - Math.min(n, putIn.getAndUpdate(all -> all - Math.min(n, all)));
        Subscription source = upstream;
        if (data > 0 && source != null && !done) {
            source.request(data);
        }
    }

    @Override
    public void cancel() {
        cancelled = true;
        Subscription source = upstream;
        if (source != null) {
            source.cancel();
        }
        drain();
    }

    private void drain() {
        if (draining.getAndIncrement() != 0) {
            return;
        }
        int missed = 1;
        do {
            long demand = requested.get();
            long sent = 0;
            while (true) {
                if (cancelled) {
                    events.clear();
                    break;
                }
                // In this order: what came before the end is seen then.
                boolean ended = done;
                if (events.isEmpty()) {
                    if (ended) {
                        cancelled = true;
                        pass();
                    }
                    break;
                }
                if (sent == demand) {
                    break;
                }
                actual.onNext(events.remove());
                sent++;
            }
            if (demand != Long.MAX_VALUE) {
                requested.addAndGet(-sent);
            }
            missed = draining.addAndGet(-missed);
        } while (missed != 0);
    }

    private void pass() {
        Throwable failure = error;
        if (failure == null) {
            actual.onComplete();
        } else {
            actual.onError(failure);
        }
    }
}
