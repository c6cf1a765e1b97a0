package io.fluxtally.conformance.capture;

import io.fluxtally.conformance.loopback.LoopbackException;
import io.fluxtally.conformance.proxy.PassThrough;
import io.fluxtally.conformance.proxy.PassageEnd;
import io.fluxtally.conformance.proxy.PassingRequest;
import io.fluxtally.conformance.proxy.Watcher;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageSink;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.net.ConnectException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A proxy on 127.0.0.1 between a process, in whatever language it is, and its model provider, which books what the provider
 * bills and hands it to a sink, such as a ledger.
 *
 * <p>Bodies pass byte for byte and as they come. All that is done with them happens to a copy, on a thread of its own, behind
 * the traffic: however slow the sink is, and whatever fails, the traffic goes on as without. Where the copies that wait grow
 * beyond a limit, no more are made: what then cannot be read is booked without a figure ({@code MISSING}), and what cannot even
 * be booked is counted ({@link #unbooked()}).
 *
 * <p>A request is booked to the run that its base URL names ({@link #baseUrl(String)}). Nothing of a text, a header or a key
 * leaves this class: what is booked has figures, ids and the names of models. Times are those at which the copy was read.
 *
 * <p>Thread-safe. Starting and closing wait, so neither belongs on a thread that must not block.
 */
public final class Capture implements AutoCloseable {

    /** How many bytes of copies may wait. */
    static final long BACKLOG = 64L << 20;

    /** What an exchange takes beside its bodies. */
    private static final int EXCHANGE = 4096;

    /** What a piece takes beside its bytes. */
    private static final int PIECE = 256;

    /** Runs beyond these are not told apart in {@link #runs()}; the sink has all. */
    private static final int MOST_RUNS = 1_000;

    private static final int PATIENCE_SECONDS = 30;

    /** An encoding under which a tap reads no body. */
    private static final String UNREAD = "unread";

    private final String run;
    private final UsageSink sink;
    private final WireTap tap;
    private final Consumer<String> problems;
    private final int patienceSeconds;
    private final String basePath;
    private final CaptureLine line;
    private final Set<String> told = ConcurrentHashMap.newKeySet();
    private final Map<String, UsageSum> runs = Collections.synchronizedMap(new LinkedHashMap<>());
    private final AtomicLong unread = new AtomicLong();
    private final AtomicLong unbooked = new AtomicLong();
    private final AtomicBoolean closed = new AtomicBoolean();
    private final PassThrough proxy;

    /** What is being read right now. Of the line's thread alone. */
    private @Nullable Exchange current;

    private Capture(Builder builder) {
        this.run = builder.run;
        this.sink = builder.sink;
        this.tap = builder.tap.recorder(UsageRecorder.withSinks(this::booked)).build();
        this.problems = builder.problems;
        this.patienceSeconds = builder.patienceSeconds;
        this.line = new CaptureLine(builder.backlog);
        this.basePath = URI.create(builder.target).getRawPath();
        this.proxy = PassThrough.start("capture", builder.target, builder.port, new Watching());
    }

    /**
     * A builder.
     *
     * @param target the provider's base URL, as the process would use it
     * @param sink takes what is booked, on a thread of the capture's own
     * @throws IllegalArgumentException when the target is no http or https URL of a host and a path alone, or its port is none
     */
    public static Builder builder(URI target, UsageSink sink) {
        return new Builder(target, sink);
    }

    /** The port it listens on. */
    public int port() {
        return proxy.port();
    }

    /** The base URL to give to the process, without a trailing slash. */
    public String baseUrl() {
        return proxy.baseUrl();
    }

    /**
     * The base URL of a run of this name.
     *
     * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
     */
    public String baseUrl(String name) {
        return proxy.baseUrl(name);
    }

    /** What was booked so far, by run; of the first thousand runs. */
    public Map<String, UsageSum> runs() {
        synchronized (runs) {
            return new LinkedHashMap<>(runs);
        }
    }

    /** How many answers passed that could not be read: in a coding that is not decoded here, or too many bytes behind. */
    public long unread() {
        return unread.get();
    }

    /** How many requests passed that nothing can be said of, because too much was waiting to be read. */
    public long unbooked() {
        return unbooked.get();
    }

    /**
     * Ends what is under way as if its client had left, frees the port, and waits until what passed is read, for half a minute
     * at most. The sink is not closed. A second call does nothing.
     */
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        proxy.close();
        if (!line.close(patienceSeconds)) {
            tell("not everything that passed is booked after " + patienceSeconds + " s");
        }
    }

    private void booked(RequestUsage request) {
        Exchange exchange = current;
        String model = exchange == null || request.requestModel() != null ? null : exchange.model.model();
        RequestUsage booked = model == null
                ? request
                : request.toBuilder().requestModel(model).build();
        String name = String.valueOf(request.runId());
        synchronized (runs) {
            if (runs.containsKey(name) || runs.size() < MOST_RUNS) {
                runs.merge(name, UsageSum.EMPTY.plus(booked), (sum, one) -> sum.plus(booked));
            }
        }
        try {
            sink.accept(booked);
        } catch (Throwable failure) {
            // The tap would log it, and what a sink says of its failure may be anything.
            unbooked.incrementAndGet();
            tell("a request is not booked, since the sink failed with "
                    + failure.getClass().getName());
        }
    }

    private void tell(String problem) {
        if (!told.add(problem)) {
            return;
        }
        try {
            problems.accept(problem);
        } catch (Throwable failure) {
            // Nobody is left to tell.
        }
    }

    private final class Watching implements Watcher {

        @Override
        public @Nullable Passage begin(PassingRequest request) {
            if (!line.reserve(EXCHANGE)) {
                unbooked.incrementAndGet();
                tell("requests pass that are not booked, since too much is waiting to be read");
                return null;
            }
            Set<String> headers = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
            headers.addAll(request.headers().names());
            String path = basePath + request.path();
            Exchange exchange = new Exchange(
                    new RequestHead(request.method(), path, headers::contains),
                    request.run() == null ? run : request.run());
            exchange.later(exchange::open);
            return exchange;
        }

        @Override
        public void problem(String text) {
            tell(text);
        }
    }

    /** One request that passes. What the traffic calls is public; all else is done by the line's thread. */
    private final class Exchange implements Watcher.Passage {

        private final RequestHead head;
        private final String runId;
        private final RequestModel model = new RequestModel();

        /** Whether a piece of a body was not copied, so that those after it mean nothing. */
        private volatile boolean askedBehind;

        private volatile boolean behind;

        private @Nullable WireRequest wire;
        private @Nullable Inflation inflation;
        private int status;
        private @Nullable String type;
        private boolean isUnread;

        Exchange(RequestHead head, String runId) {
            this.head = head;
            this.runId = runId;
        }

        /** Puts a part of the work into the line; nothing that fails in it goes any further. */
        private void later(Runnable part) {
            line.put(() -> {
                current = this;
                try {
                    part.run();
                } catch (Throwable failure) {
                    tell("reading failed with " + failure.getClass().getName());
                } finally {
                    current = null;
                }
            });
        }

        private void open() {
            // A run of its own for each request, under the name they share: a tally would keep them all.
            wire = tap.open(head, RunScope.start(runId));
        }

        @Override
        public void asked(ByteBuf piece) {
            int size = piece.readableBytes() + PIECE;
            if (askedBehind || !line.reserve(size)) {
                askedBehind = true;
                return;
            }
            byte[] bytes = ByteBufUtil.getBytes(piece);
            later(() -> {
                line.free(size);
                model.feed(bytes);
            });
        }

        @Override
        public void responded(int httpStatus, HttpHeaders headers) {
            String contentType = headers.get(HttpHeaderNames.CONTENT_TYPE);
            String coding = headers.get(HttpHeaderNames.CONTENT_ENCODING);
            later(() -> begin(httpStatus, contentType, coding));
        }

        private void begin(int httpStatus, @Nullable String contentType, @Nullable String coding) {
            WireRequest request = wire;
            if (request == null) {
                return;
            }
            status = httpStatus;
            type = contentType;
            inflation = coding == null || isPlain(coding) ? null : Inflation.of(coding);
            request.responded(status, type, null);
            if (coding != null && !isPlain(coding) && inflation == null) {
                giveUp("answers pass unread, since they are in a content coding other than gzip and deflate");
            }
        }

        private static boolean isPlain(String coding) {
            return coding.isBlank() || coding.strip().toLowerCase(Locale.ROOT).equals("identity");
        }

        /** From here on the body cannot be read; the request is booked with what was read until here, if anything. */
        private void giveUp(String reason) {
            WireRequest request = wire;
            if (request == null || isUnread) {
                return;
            }
            isUnread = true;
            unread.incrementAndGet();
            tell(reason);
            request.responded(status, type, UNREAD);
        }

        @Override
        public void answered(ByteBuf piece) {
            if (behind) {
                return;
            }
            int size = piece.readableBytes() + PIECE;
            if (!line.reserve(size)) {
                behind = true;
                later(() -> giveUp("answers pass unread, since too much is waiting to be read"));
                return;
            }
            byte[] bytes = ByteBufUtil.getBytes(piece);
            later(() -> {
                line.free(size);
                read(bytes);
            });
        }

        private void read(byte[] bytes) {
            WireRequest request = wire;
            if (request == null || isUnread) {
                return;
            }
            Inflation decoding = inflation;
            if (decoding == null) {
                request.body(ByteBuffer.wrap(bytes));
                return;
            }
            try {
                decoding.decode(bytes, plain -> request.body(ByteBuffer.wrap(plain)));
            } catch (RuntimeException wrong) {
                giveUp("answers pass unread, since they are not in the content coding that they name");
            }
        }

        @Override
        public void ended(PassageEnd end) {
            later(() -> {
                line.free(EXCHANGE);
                try {
                    conclude(end);
                } finally {
                    if (inflation != null) {
                        inflation.close();
                    }
                }
            });
        }

        private void conclude(PassageEnd end) {
            WireRequest request = wire;
            if (request == null) {
                return;
            }
            switch (end) {
                case COMPLETE -> request.completed();
                case BROKEN -> request.failed();
                case CLIENT_LEFT -> request.cancelled();
                case NOT_SENT -> request.failedToSend(new ConnectException());
            }
        }
    }

    @Override
    public String toString() {
        return "capture: " + proxy;
    }

    /** What can be chosen about a capture before it starts. Not thread-safe. */
    public static final class Builder {

        private final String target;
        private final UsageSink sink;
        private int port;
        private String run = "captured";
        private WireTap.Builder tap = WireTap.builder();
        private long backlog = BACKLOG;
        private int patienceSeconds = PATIENCE_SECONDS;
        private Consumer<String> problems = problem -> {};

        private Builder(URI target, UsageSink sink) {
            this.target = PassThrough.checkedTarget(target);
            this.sink = sink;
        }

        /**
         * The port to listen on; 0, the default, is any free one.
         *
         * @throws IllegalArgumentException when it is not in 0 to 65535
         */
        public Builder port(int value) {
            this.port = PassThrough.checkedPort(value);
            return this;
        }

        /**
         * The run of requests whose base URL names none; {@code captured} unless given.
         *
         * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
         */
        public Builder run(String name) {
            this.run = PassThrough.checkedName(name);
            return this;
        }

        /** The tap that reads, as far as its dialects and limits go; one with all dialects unless given. Its recorder is not used. */
        public Builder tap(WireTap.Builder value) {
            this.tap = value;
            return this;
        }

        /** How many bytes of copies may wait; for tests. */
        Builder backlog(long bytes) {
            this.backlog = bytes;
            return this;
        }

        /** How long closing waits; for tests. */
        Builder patience(int seconds) {
            this.patienceSeconds = seconds;
            return this;
        }

        /** Told of what could not be captured, once of each kind, from any thread. No message has anything that passed in it. */
        public Builder onProblem(Consumer<String> value) {
            this.problems = value;
            return this;
        }

        /**
         * Starts a capture.
         *
         * @throws LoopbackException when the port is in use or it cannot listen for another reason
         */
        public Capture start() {
            return new Capture(this);
        }
    }
}
