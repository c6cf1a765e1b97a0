package io.fluxtally.usage.reactor;

import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import org.reactivestreams.tck.SubscriberBlackboxVerification;
import org.reactivestreams.tck.TestEnvironment;
import reactor.core.publisher.BaseSubscriber;

/** The Reactive Streams TCK over one subscription of the tap, before a subscriber that asks for everything. */
public class TapSubscriberBlackboxTckTest extends SubscriberBlackboxVerification<Long> {

    /** For TestNG. */
    public TapSubscriberBlackboxTckTest() {
        super(new TestEnvironment(500, 100));
    }

    @Override
    public Subscriber<Long> createSubscriber() {
        BaseSubscriber<Long> downstream = new BaseSubscriber<>() {
            @Override
            protected void hookOnSubscribe(Subscription subscription) {
                requestUnbounded();
            }

            @Override
            protected void hookOnError(Throwable error) {}
        };
        return new TapSubscriber<>(downstream, new Recorder<>());
    }

    @Override
    public Long createElement(int element) {
        return (long) element;
    }
}
