package io.fluxtally.usage.reactor;

import java.util.stream.LongStream;
import org.reactivestreams.Publisher;
import org.reactivestreams.tck.PublisherVerification;
import org.reactivestreams.tck.TestEnvironment;
import reactor.core.publisher.Flux;

/** The Reactive Streams TCK over a tapped stream: pushed elements, from a source that could be fused. */
public class FluxTapTckTest extends PublisherVerification<Long> {

    /** For TestNG. */
    public FluxTapTckTest() {
        super(new TestEnvironment(500, 100));
    }

    @Override
    public Publisher<Long> createPublisher(long elements) {
        return new Recorder<Long>() {
            @Override
            public void onNext(Long element) {
                // Not written down: some of these streams are endless.
            }
        }.on(source(elements));
    }

    /** Up to {@link Long#MAX_VALUE} elements. */
    static Flux<Long> source(long elements) {
        return Flux.fromIterable(
                () -> LongStream.rangeClosed(1, elements).boxed().iterator());
    }

    @Override
    public Publisher<Long> createFailedPublisher() {
        return new Recorder<Long>().on(Flux.error(new IllegalStateException("broken")));
    }
}
