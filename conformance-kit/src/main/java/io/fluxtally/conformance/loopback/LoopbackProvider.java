package io.fluxtally.conformance.loopback;

import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelOption;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.BindException;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.DisposableServer;
import reactor.netty.NettyOutbound;
import reactor.netty.http.server.HttpServer;
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

    private static final String HOST = "127.0.0.1";

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /** A reset destroys what the receiving kernel still holds, on some systems at least: let the client read it first. */
    private static final Duration RESET_GRACE = Duration.ofMillis(20);

    private static final Pattern CONVERSATION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_~.-]*");

    private static final Pattern PATH_END = Pattern.compile("[?#]");

    private final List<Recording> recordings;

    private final boolean gzip;

    private final Duration eventDelay;

    private final Conversation shared = new Conversation(null);

    private final Map<String, Conversation> conversations = new ConcurrentHashMap<>();

    private final RequestLog log = new RequestLog();

    private final ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);

    private final AtomicBoolean closed = new AtomicBoolean();

    private final LoopResources loops;

    private final Scheduler timer;

    private final DisposableServer server;

    private LoopbackProvider(Builder builder, List<Recording> recordings) {
        this.recordings = recordings;
        this.gzip = builder.gzip;
        this.eventDelay = builder.eventDelay;
        int workers = Math.max(2, Math.min(4, Runtime.getRuntime().availableProcessors()));
        this.loops = LoopResources.create("fluxtally-loopback", 1, workers, true);
        this.timer = Schedulers.fromExecutorService(loops.onServer(false).next());
        this.server = bind(builder.port);
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
        return "http://" + HOST + ":" + port();
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
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        try {
            server.channel().close().await(PATIENCE.toMillis());
            // A reset leaves no connection in TIME_WAIT on the port.
            connections.forEach(LoopbackProvider::resetOnClose);
            connections.close().await(PATIENCE.toMillis());
            endThreads(loops);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            loops.disposeLater(Duration.ZERO, PATIENCE).subscribe();
        }
    }

    private static void endThreads(LoopResources loops) throws InterruptedException {
        try {
            loops.disposeLater(Duration.ZERO, PATIENCE).toFuture().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the loopback provider's threads did not end within " + PATIENCE, e);
        }
    }

    private DisposableServer bind(int port) {
        try {
            return HttpServer.create()
                    .host(HOST)
                    .port(port)
                    .runOn(loops, false)
                    .doOnChannelInit((observer, channel, remote) -> connections.add(channel))
                    .handle(this::answer)
                    .bindNow(PATIENCE);
        } catch (RuntimeException e) {
            // Nobody waits for these threads: the caller gets the reason, and they end by themselves.
            loops.disposeLater(Duration.ZERO, PATIENCE).subscribe();
            throw cannotListen(port, e);
        }
    }

    private static LoopbackException cannotListen(int port, RuntimeException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            String reason = cause.getMessage();
            if (cause instanceof BindException && reason != null && reason.contains("in use")) {
                return new LoopbackException(
                        port, "port must be free, but port " + port + " of " + HOST + " is in use already", e);
            }
            if (cause instanceof BindException) {
                return new LoopbackException(
                        port,
                        "port must be free to listen on, but port " + port + " of " + HOST + " is not: " + reason,
                        e);
            }
        }
        return new LoopbackException(port, "cannot listen on port " + port + " of " + HOST + ": " + e.getMessage(), e);
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
        response.withConnection(connection -> connection
                .channel()
                .eventLoop()
                .schedule(
                        () -> {
                            received.end(ExchangeEnd.RESET);
                            resetOnClose(connection.channel());
                            connection.channel().close();
                        },
                        RESET_GRACE.toMillis(),
                        TimeUnit.MILLISECONDS));
    }

    private static void resetOnClose(Channel channel) {
        try {
            channel.config().setOption(ChannelOption.SO_LINGER, 0);
        } catch (ChannelException e) {
            // The client was quicker: a closed socket has no options, and needs none.
        }
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
