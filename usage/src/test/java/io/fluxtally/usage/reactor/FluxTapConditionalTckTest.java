package io.fluxtally.usage.reactor;

import org.reactivestreams.Publisher;
import org.reactivestreams.tck.PublisherVerification;
import org.reactivestreams.tck.TestEnvironment;
import reactor.core.publisher.Flux;

/** The Reactive Streams TCK over a tapped stream whose downstream refuses every other element. */
public class FluxTapConditionalTckTest extends PublisherVerification<Long> {

    /** For TestNG. */
    public FluxTapConditionalTckTest() {
        super(new TestEnvironment(500, 100));
    }

    @Override
    public Publisher<Long> createPublisher(long elements) {
        long twice = elements > Long.MAX_VALUE / 2 ? Long.MAX_VALUE : elements * 2;
        return new Recorder<Long>() {
            @Override
            public void onNext(Long element) {
                // Not written down: some of these streams are endless.
            }
        }.on(FluxTapTckTest.source(twice)).filter(element -> element % 2 == 0);
    }

    @Override
    public Publisher<Long> createFailedPublisher() {
        return new Recorder<Long>()
                .on(Flux.error(new IllegalStateException("broken")))
                .filter(element -> element % 2 == 0);
    }
}
