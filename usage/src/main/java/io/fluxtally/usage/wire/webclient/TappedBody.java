package io.fluxtally.usage.wire.webclient;

import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.WireRequest;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;

/**
 * A body that a {@link WireRequest} hears and that, when the downstream cancels, is read on for it alone as long as the
 * request says so. When the model call behind it is left and the downstream does not cancel, it is stopped.
 */
final class TappedBody extends FluxOperator<DataBuffer, DataBuffer> {

    /** How many bytes are heard at a time: most events. */
    private static final int WINDOW = 512;

    private final WireRequest wire;
    private final boolean isLines;

    /**
     * A body.
     *
     * @param isLines whether its reader holds nothing of it between two lines
     */
    TappedBody(Flux<DataBuffer> body, WireRequest wire, boolean isLines) {
        super(body);
        this.wire = wire;
        this.isLines = isLines;
    }

    @Override
    public void subscribe(CoreSubscriber<? super DataBuffer> actual) {
        source.subscribe(new Reading(actual, wire, isLines));
    }

    private static final class Reading extends TappedSubscriber<DataBuffer> {

        /** A lock would cost each event more: the reader and who stops it hardly ever meet. */
        private static final AtomicIntegerFieldUpdater<Reading> STATE =
                AtomicIntegerFieldUpdater.newUpdater(Reading.class, "state");

        /** The reader is at a buffer right now, or waits for more of what it holds already. */
        private static final int READING = 1;

        /** The call behind it is left, and the body to be stopped as soon as it may. */
        private static final int UNWANTED = 2;

        private static final int STOPPED = 4;

        private final boolean isLines;

        /** What is being heard: views of the buffers themselves would be garbage, several of them for each event. */
        private final ByteBuffer window = ByteBuffer.allocate(WINDOW);

        private volatile boolean left;

        /** What of {@link #READING}, {@link #UNWANTED} and {@link #STOPPED} is so. */
        private volatile int state;

        Reading(CoreSubscriber<? super DataBuffer> actual, WireRequest wire, boolean isLines) {
            super(actual, wire);
            this.isLines = isLines;
        }

        @Override
        public void onNext(DataBuffer buffer) {
            if (!begins()) {
                DataBufferUtils.release(buffer);
                return;
            }
            hear(buffer);
            if (left) {
                DataBufferUtils.release(buffer);
                return;
            }
            boolean isBetweenLines = isLines && endsLine(buffer);
            actual.onNext(buffer);
            if (isBetweenLines && hasRead()) {
                upstream().cancel();
            }
        }

        /** Reads a buffer in passing: its position is put back, and it is not released. */
        private void hear(DataBuffer buffer) {
            int position = buffer.readPosition();
            try {
                for (int unheard = buffer.readableByteCount(); unheard > 0; unheard -= WINDOW) {
                    int length = Math.min(unheard, WINDOW);
                    buffer.read(window.array(), 0, length);
                    wire.body(window.clear().limit(length));
                }
            } catch (Throwable failure) {
                MeasuringFailures.report(WireTapExchangeFilter.PART, failure);
            } finally {
                buffer.readPosition(position);
            }
        }

        private static boolean endsLine(DataBuffer buffer) {
            int end = buffer.writePosition();
            return end > buffer.readPosition() && buffer.getByte(end - 1) == '\n';
        }

        /** Takes note that the reader is at a buffer, and returns whether it may be: whether the body is not stopped. */
        private boolean begins() {
            int now = state;
            while ((now & (READING | STOPPED)) == 0 && !STATE.compareAndSet(this, now, now | READING)) {
                now = state;
            }
            return (now & STOPPED) == 0;
        }

        /** Takes note that the reader holds nothing, and returns whether that is where the body stops. */
        private boolean hasRead() {
            return change(READING, 0);
        }

        private boolean isUnwanted() {
            return change(0, UNWANTED);
        }

        /** Changes the state, and returns whether that stops the body: it is not wanted, and the reader at no buffer. */
        private boolean change(int without, int with) {
            while (true) {
                int now = state;
                int next = (now & ~without) | with;
                boolean stops = (next & (READING | UNWANTED | STOPPED)) == UNWANTED;
                if (STATE.compareAndSet(this, now, stops ? next | STOPPED : next)) {
                    return stops;
                }
            }
        }

        /**
         * Stops the body without a word to the downstream, which may wait for the next event to cancel, and may not be told
         * of an end that was none. In the middle of an event it goes on until that is through: its reader holds buffers that
         * it gives back then, or at an end, and would never otherwise.
         */
        @Override
        void stop() {
            if (isUnwanted()) {
                upstream().cancel();
            }
        }

        @Override
        public void onError(Throwable error) {
            wire.failed();
            if (passesOn()) {
                actual.onError(error);
            }
        }

        @Override
        public void onComplete() {
            wire.completed();
            if (passesOn()) {
                actual.onComplete();
            }
        }

        private boolean passesOn() {
            return !left && (state & STOPPED) == 0;
        }

        @Override
        public void cancel() {
            if (left) {
                return;
            }
            Subscription body = upstream();
            if (wire.leave(body::cancel)) {
                left = true;
                body.request(Long.MAX_VALUE);
            } else {
                body.cancel();
                wire.cancelled();
            }
        }
    }
}
