package io.fluxtally.conformance.loopback;

import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.NettyOutbound;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;

/**
 * An HTTP provider on 127.0.0.1 that replays a scenario's responses in order, one per request, whatever the request is.
 *
 * <p>A request beyond the last response gets HTTP 500. A stream's body goes out event by event; a response with status 400 or more
 * is sent whole. Requests take responses in the order in which they come, all of them from one list, or by conversation: each base
 * URL of {@link #baseUrl(String)} replays the list from its start, independent of the others and of connections.
 *
 * <p>Thread-safe. It owns its threads, and {@link #close()} ends them. Starting and closing wait, so neither belongs on a thread
 * that must not block.
 */
public final class LoopbackProvider implements AutoCloseable {

    private static final Pattern CONVERSATION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_~.-]*");

    private static final Pattern PATH_END = Pattern.compile("[?#]");

    private final List<Recording> recordings;

    private final boolean gzip;

    private final Duration eventDelay;

    private final Conversation shared = new Conversation(null);

    private final Map<String, Conversation> conversations = new ConcurrentHashMap<>();

    private final RequestLog log = new RequestLog();

    private final AtomicBoolean closed = new AtomicBoolean();

    private final Scheduler timer;

    private final LoopbackServer server;

    private LoopbackProvider(Builder builder, List<Recording> recordings) {
        this.recordings = recordings;
        this.gzip = builder.gzip;
        this.eventDelay = builder.eventDelay;
        LoopResources loops = LoopbackServer.threads("fluxtally-loopback");
        this.timer = Schedulers.fromExecutorService(loops.onServer(false).next());
        this.server = LoopbackServer.start(loops, builder.port, this::answer);
    }

    /** Starts a provider for this scenario on a free port. */
    public static LoopbackProvider start(Scenario scenario) {
        return builder().start(scenario);
    }

    /**
     * Starts a provider for these responses on a free port.
     *
     * @throws IllegalArgumentException when there is no response
     */
    public static LoopbackProvider start(Mode mode, List<Response> responses) {
        return builder().start(mode, responses);
    }

    /** A builder with a free port, the mode's own chunking, no compression and no delay. */
    public static Builder builder() {
        return new Builder();
    }

    /** The port it listens on. */
    public int port() {
        return server.port();
    }

    /** The base URL without a trailing slash, to be given to a client. */
    public String baseUrl() {
        return server.baseUrl();
    }

    /**
     * The base URL of a conversation, which replays the responses from the start on its own. Asking again for the same conversation
     * gives the same URL and does not start it anew.
     *
     * @param conversation the key, and the first segment of every path: a letter or digit, then letters, digits and {@code _ ~ . -}
     * @throws IllegalArgumentException when the key is of another form
     */
    public String baseUrl(String conversation) {
        if (!CONVERSATION.matcher(conversation).matches()) {
            throw new IllegalArgumentException(
                    "conversation must be a letter or digit, then letters, digits and _ ~ . -, but is \"" + conversation
                            + "\"");
        }
        conversations.computeIfAbsent(conversation, Conversation::new);
        return baseUrl() + "/" + conversation;
    }

    /** The number of requests so far. */
    public int requestCount() {
        return log.size();
    }

    /** The requests so far, in the order in which they came. */
    public List<ReceivedRequest> requests() {
        return log.snapshot();
    }

    /** The requests of one conversation so far, in the order in which they came. */
    public List<ReceivedRequest> requests(String conversation) {
        return log.snapshot().stream()
                .filter(request -> conversation.equals(request.conversation()))
                .toList();
    }

    /** The request with this index over all conversations, from 0, as soon as it has come. */
    public CompletableFuture<ReceivedRequest> request(int index) {
        return log.request(index);
    }

    /** Resets every open connection, frees the port and ends the threads. A second call does nothing. */
    @Override
    public void close() {
        // Those that are cut off now did not leave by themselves.
        closed.set(true);
        server.close();
    }

    private Publisher<Void> answer(HttpServerRequest request, HttpServerResponse response) {
        String path = PATH_END.split(request.uri(), 2)[0];
        Conversation conversation = conversation(path);
        int index = conversation.next();
        Recording recording =
                index < recordings.size() ? recordings.get(index) : Recording.exhausted(recordings.size(), index + 1);
        ReceivedRequest received =
                new ReceivedRequest(conversation.key(), index, request.method().name(), path, headerNames(request));
        request.withConnection(connection -> noticeClose(connection.channel(), received));
        log.add(received);
        boolean compress = gzip && !recording.pieces().isEmpty() && acceptsGzip(request);
        return request.receive().then(Mono.defer(() -> Mono.from(send(recording, compress, response, received))));
    }

    private void noticeClose(Channel channel, ReceivedRequest received) {
        ChannelFutureListener onClose =
                future -> received.end(closed.get() ? ExchangeEnd.PROVIDER_CLOSED : ExchangeEnd.CLIENT_LEFT);
        channel.closeFuture().addListener(onClose);
        // A connection may outlive very many exchanges.
        received.ended().thenRun(() -> channel.closeFuture().removeListener(onClose));
    }

    private Publisher<Void> send(
            Recording recording, boolean compress, HttpServerResponse response, ReceivedRequest received) {
        response.status(recording.status());
        recording.headers().forEach(response::header);
        List<byte[]> pieces = recording.pieces();
        if (compress) {
            response.header("content-encoding", "gzip").header("vary", "accept-encoding");
            pieces = recording.gzipped();
        }
        if (!recording.chunked()) {
            response.header(
                    "content-length",
                    String.valueOf(
                            pieces.stream().mapToInt(piece -> piece.length).sum()));
        }
        NettyOutbound body = response.send(writes(pieces), write -> true);
        return switch (recording.end()) {
            case COMPLETE -> body.then().doOnSuccess(done -> received.end(ExchangeEnd.COMPLETED));
            case RESET ->
                body.then().then(Mono.defer(() -> {
                    reset(response, received);
                    return Mono.never();
                }));
            case HANG -> body.then().then(Mono.never());
        };
    }

    private Flux<ByteBuf> writes(List<byte[]> pieces) {
        Flux<ByteBuf> writes = Flux.fromIterable(pieces).map(Unpooled::wrappedBuffer);
        return eventDelay.isZero() ? writes : writes.delayElements(eventDelay, timer);
    }

    private static void reset(HttpServerResponse response, ReceivedRequest received) {
        response.withConnection(
                connection -> LoopbackServer.reset(connection.channel(), () -> received.end(ExchangeEnd.RESET)));
    }

    private Conversation conversation(String path) {
        int end = path.indexOf('/', 1);
        String first = path.isEmpty() ? "" : end < 0 ? path.substring(1) : path.substring(1, end);
        return conversations.getOrDefault(first, shared);
    }

    private static Set<String> headerNames(HttpServerRequest request) {
        Set<String> names = new TreeSet<>();
        request.requestHeaders().names().forEach(name -> names.add(name.toLowerCase(Locale.ROOT)));
        return Collections.unmodifiableSet(names);
    }

    private static boolean acceptsGzip(HttpServerRequest request) {
        return request.requestHeaders().getAll("accept-encoding").stream()
                .flatMap(value -> Stream.of(value.split(",")))
                .map(coding -> coding.replace(" ", "").toLowerCase(Locale.ROOT))
                .anyMatch(coding ->
                        coding.equals("gzip") || coding.startsWith("gzip;") && !coding.matches("gzip;q=0(\\.0*)?"));
    }

    @Override
    public String toString() {
        return "loopback provider at " + baseUrl();
    }

    /** What can be chosen about a loopback provider before it starts. Not thread-safe; it may start any number of them. */
    public static final class Builder {

        private int port;

        private @Nullable Chunking chunking;

        private boolean gzip;

        private Duration eventDelay = Duration.ZERO;

        private Builder() {}

        /**
         * The port to listen on; 0, the default, is any free one.
         *
         * @throws IllegalArgumentException when it is not in 0 to 65535
         */
        public Builder port(int port) {
            if (port < 0 || port > 65535) {
                throw new IllegalArgumentException("port must be 0 to 65535, but is " + port);
            }
            this.port = port;
            return this;
        }

        /** How bodies are cut into writes; by default a stream's by event, and a call's not at all. HTTP errors are never cut. */
        public Builder chunking(Chunking chunking) {
            this.chunking = chunking;
            return this;
        }

        /** Whether to compress the body for a client that accepts gzip. The pieces are cut first, and each can be decoded at once. */
        public Builder gzip(boolean gzip) {
            this.gzip = gzip;
            return this;
        }

        /**
         * The time to wait before each write; none by default.
         *
         * @throws IllegalArgumentException when it is negative
         */
        public Builder eventDelay(Duration eventDelay) {
            if (eventDelay.isNegative()) {
                throw new IllegalArgumentException("eventDelay must not be negative, but is " + eventDelay);
            }
            this.eventDelay = eventDelay;
            return this;
        }

        /**
         * Starts a provider for this scenario.
         *
         * @throws LoopbackException when the port is in use or it cannot listen for another reason
         */
        public LoopbackProvider start(Scenario scenario) {
            return start(scenario.mode(), scenario.responses());
        }

        /**
         * Starts a provider for these responses.
         *
         * @throws IllegalArgumentException when there is no response
         * @throws LoopbackException when the port is in use or it cannot listen for another reason
         */
        public LoopbackProvider start(Mode mode, List<Response> responses) {
            if (responses.isEmpty()) {
                throw new IllegalArgumentException("responses must have at least one response, but is empty");
            }
            return new LoopbackProvider(
                    this,
                    responses.stream()
                            .map(response -> Recording.of(mode, response, chunking))
                            .toList());
        }
    }
}
