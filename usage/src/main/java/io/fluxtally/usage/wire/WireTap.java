package io.fluxtally.usage.wire;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.dialect.AnthropicDialect;
import io.fluxtally.usage.wire.dialect.BedrockDialect;
import io.fluxtally.usage.wire.dialect.DashScopeDialect;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.GeminiDialect;
import io.fluxtally.usage.wire.dialect.OllamaDialect;
import io.fluxtally.usage.wire.dialect.OpenAiDialect;
import io.fluxtally.usage.wire.dialect.OpenAiResponsesDialect;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import reactor.util.context.ContextView;

/**
 * Reads the usage out of the responses of model providers as they pass, and books one request for each.
 *
 * <p>It holds no body and changes none. Of a stream it holds one event at a time, up to a limit, and a short one
 * before it; a longer event passes like any other and is counted as unread.
 *
 * <p>Safe for use by any number of threads.
 */
public final class WireTap {

    /** How many bytes of one event are read, unless set: 4 MiB. */
    public static final int DEFAULT_MAX_EVENT_BYTES = 4 * 1024 * 1024;

    static final String LISTENER = "a listener of the wire tap";

    private final UsageRecorder recorder;
    private final List<Dialect> dialects;
    private final int maxEventBytes;
    private final @Nullable Drain drain;
    private final List<RequestListener> listeners;
    private final Semaphore drains;
    private final AtomicLong unreadEvents = new AtomicLong();
    private final AtomicLong refusedDrains = new AtomicLong();

    private WireTap(Builder builder) {
        this.recorder = builder.recorder;
        this.dialects = List.copyOf(builder.dialects);
        this.maxEventBytes = builder.maxEventBytes;
        this.drain = builder.drain;
        this.listeners = List.copyOf(builder.listeners);
        this.drains = new Semaphore(drain == null ? 0 : drain.atOnce());
    }

    /** A tap that books to the recorder of this process. */
    public static WireTap create() {
        return builder().build();
    }

    /** A builder with the dialects that come with Fluxtally and the recorder of this process. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Begins to watch a request.
     *
     * @param head where it goes
     * @param scope the scope it is made in, or null if there is none
     * @return the request to report to, or null if it cannot be one to a model
     */
    public @Nullable WireRequest open(RequestHead head, @Nullable UsageScope scope) {
        return open(head, scope, List.of(), false);
    }

    /** {@link #admit(RequestHead, UsageScope, Iterable)} for a blocking request. */
    public @Nullable WireRequest admit(RequestHead head, @Nullable UsageScope scope) {
        return admit(head, scope, List.of());
    }

    /**
     * Begins to watch a request that is not sent yet, if the limits of its run let it through. One whose path does not tell
     * that it goes to a model is let through.
     *
     * @param head where it goes
     * @param scope the scope it is made in, or null if there is none
     * @param contexts the Reactor contexts it is made in, for the tap's {@linkplain RequestListener listeners}
     * @return the request to report to, or null if it cannot be one to a model
     * @throws UsageLimitExceededException if it must not be sent
     */
    public @Nullable WireRequest admit(
            RequestHead head, @Nullable UsageScope scope, Iterable<? extends ContextView> contexts) {
        return open(head, scope, contexts, true);
    }

    private @Nullable WireRequest open(
            RequestHead head, @Nullable UsageScope scope, Iterable<? extends ContextView> contexts, boolean asks) {
        if (!head.method().equals("POST")) {
            return null;
        }
        WireRequest request = new WireRequest(this, head, scope, asks);
        for (RequestListener listener : listeners) {
            try {
                request.tells(listener.onRequest(contexts, request));
            } catch (Throwable failure) {
                MeasuringFailures.report(LISTENER, failure);
            }
        }
        return request;
    }

    /** How many events were passed on unread, because they were too long or not what their kind promises. */
    public long unreadEvents() {
        return unreadEvents.get();
    }

    /** How many responses were cancelled when the app left, because as many as may be were being drained already. */
    public long refusedDrains() {
        return refusedDrains.get();
    }

    /** How far a response is read on after the app has left it, or null if it is not. */
    public @Nullable Drain drain() {
        return drain;
    }

    /** Takes one of the places for a response to be drained, if there is one. To be given back. */
    boolean beginsDrain() {
        boolean begins = drains.tryAcquire();
        if (!begins) {
            refusedDrains.incrementAndGet();
        }
        return begins;
    }

    void endDrain() {
        drains.release();
    }

    void countUnread() {
        unreadEvents.incrementAndGet();
    }

    UsageRecorder recorder() {
        return recorder;
    }

    List<Dialect> dialects() {
        return dialects;
    }

    int maxEventBytes() {
        return maxEventBytes;
    }

    /** Settings of a tap. Not safe for use by several threads. */
    public static final class Builder {

        private UsageRecorder recorder = UsageRecorder.shared();
        private final List<Dialect> dialects = new ArrayList<>(List.of(
                new DashScopeDialect(),
                new OpenAiDialect(),
                new OpenAiResponsesDialect(),
                new AnthropicDialect(),
                new GeminiDialect(),
                new OllamaDialect(),
                new BedrockDialect()));
        private int maxEventBytes = DEFAULT_MAX_EVENT_BYTES;
        private @Nullable Drain drain;
        private final List<RequestListener> listeners = new ArrayList<>();

        private Builder() {}

        /** Sets where requests are booked; the recorder of this process unless set. */
        public Builder recorder(UsageRecorder value) {
            this.recorder = value;
            return this;
        }

        /** Adds a dialect; it is asked before those that are there. */
        public Builder dialect(Dialect value) {
            dialects.add(0, value);
            return this;
        }

        /**
         * Sets how many bytes of one event are read at most; 4 MiB unless set.
         *
         * @throws IllegalArgumentException if it is less than 1024
         */
        public Builder maxEventBytes(int value) {
            if (value < 1024) {
                throw new IllegalArgumentException("maxEventBytes must be 1024 or more, but is " + value);
            }
            this.maxEventBytes = value;
            return this;
        }

        /**
         * Lets responses that the app leaves be read on, so that their usage still arrives. Unless set, the cancel goes to
         * the provider at once, and what was reported until then is kept. It holds for streams and documents read by a
         * {@code WebClient}; a blocking client leaves at once.
         */
        public Builder drain(Drain value) {
            this.drain = value;
            return this;
        }

        /** Adds one who is told of each request where it is made. */
        public Builder listener(RequestListener value) {
            listeners.add(value);
            return this;
        }

        /** The tap. */
        public WireTap build() {
            return new WireTap(this);
        }
    }
}
