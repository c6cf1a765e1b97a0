package io.fluxtally.bedrock;

import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.WireRequest;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.function.Consumer;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;

/** A body that is read in passing: demand, buffers and ends pass as they are. Safe for use by several threads. */
final class TappedPublisher implements Publisher<ByteBuffer> {

    private final Publisher<ByteBuffer> body;
    private final WireRequest wire;
    private final Consumer<List<String>> toolCalls;

    /**
     * The given body.
     *
     * @param toolCalls takes the ids of the tool calls that the body asks for, as they are read
     */
    TappedPublisher(Publisher<ByteBuffer> body, WireRequest wire, Consumer<List<String>> toolCalls) {
        this.body = body;
        this.wire = wire;
        this.toolCalls = toolCalls;
    }

    @Override
    public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
        body.subscribe(new Tap(subscriber));
    }

    private final class Tap implements Subscriber<ByteBuffer> {

        private final Subscriber<? super ByteBuffer> subscriber;
        private int knownToolCalls;

        Tap(Subscriber<? super ByteBuffer> subscriber) {
            this.subscriber = subscriber;
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            subscriber.onSubscribe(new Subscription() {
                @Override
                public void request(long count) {
                    subscription.request(count);
                }

                @Override
                public void cancel() {
                    subscription.cancel();
                    wire.cancelled();
                }
            });
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            read(bytes);
            subscriber.onNext(bytes);
        }

        private void read(ByteBuffer bytes) {
            try {
                wire.body(bytes.asReadOnlyBuffer());
                List<String> ids = wire.toolCallIds();
                if (ids.size() > knownToolCalls) {
                    knownToolCalls = ids.size();
                    toolCalls.accept(ids);
                }
            } catch (Throwable failure) {
                MeasuringFailures.report("the tap of a body of the AWS SDK", failure);
            }
        }

        @Override
        public void onError(Throwable error) {
            wire.failed();
            subscriber.onError(error);
        }

        @Override
        public void onComplete() {
            wire.completed();
            subscriber.onComplete();
        }
    }
}
