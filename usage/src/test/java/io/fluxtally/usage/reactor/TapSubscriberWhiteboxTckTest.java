package io.fluxtally.usage.reactor;

import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import org.reactivestreams.tck.SubscriberWhiteboxVerification;
import org.reactivestreams.tck.TestEnvironment;
import reactor.core.publisher.BaseSubscriber;

/** The Reactive Streams TCK over one subscription of the tap, before a subscriber that the TCK looks into. */
public class TapSubscriberWhiteboxTckTest extends SubscriberWhiteboxVerification<Long> {

    /** For TestNG. */
    public TapSubscriberWhiteboxTckTest() {
        super(new TestEnvironment(500, 100));
    }

    @Override
    public Subscriber<Long> createSubscriber(WhiteboxSubscriberProbe<Long> probe) {
        return new TapSubscriber<>(new Probed(probe), new Recorder<>());
    }

    /** Shows the TCK what arrives behind the tap. */
    private static final class Probed extends BaseSubscriber<Long> {

        private final WhiteboxSubscriberProbe<Long> probe;

        private Probed(WhiteboxSubscriberProbe<Long> probe) {
            this.probe = probe;
        }

        @Override
        protected void hookOnSubscribe(Subscription subscription) {
            probe.registerOnSubscribe(new SubscriberPuppet() {
                @Override
                public void triggerRequest(long n) {
                    request(n);
                }

                @Override
                public void signalCancel() {
                    cancel();
                }
            });
        }

        @Override
        protected void hookOnNext(Long element) {
            probe.registerOnNext(element);
        }

        @Override
        protected void hookOnError(Throwable error) {
            probe.registerOnError(error);
        }

        @Override
        protected void hookOnComplete() {
            probe.registerOnComplete();
        }
    }

    @Override
    public Long createElement(int element) {
        return (long) element;
    }
}
