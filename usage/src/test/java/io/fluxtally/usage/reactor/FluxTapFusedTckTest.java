package io.fluxtally.usage.reactor;

import org.reactivestreams.Publisher;
import org.reactivestreams.tck.PublisherVerification;
import org.reactivestreams.tck.TestEnvironment;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

/** The Reactive Streams TCK over a tapped stream that is pulled: a fused source before the tap, a thread behind it. */
public class FluxTapFusedTckTest extends PublisherVerification<Long> {

    /** For TestNG. */
    public FluxTapFusedTckTest() {
        super(new TestEnvironment(500, 100));
    }

    @Override
    public Publisher<Long> createPublisher(long elements) {
        return new Recorder<Long>() {
            @Override
            public void onNext(Long element) {
                // Not written down: some of these streams are endless.
            }
        }.on(FluxTapTckTest.source(elements)).publishOn(Schedulers.parallel());
    }

    @Override
    public Publisher<Long> createFailedPublisher() {
        return new Recorder<Long>()
                .on(Flux.error(new IllegalStateException("broken")))
                .publishOn(Schedulers.parallel());
    }
}
