package io.fluxtally.conformance.record;

import io.fluxtally.conformance.loopback.LoopbackException;
import io.fluxtally.conformance.loopback.LoopbackServer;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelOption;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.resolver.DefaultAddressResolverGroup;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.NettyPipeline;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientResponse;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;

/**
 * A proxy on 127.0.0.1 between an app and a model provider, which writes what passes as scenario files.
 *
 * <p>Both bodies pass byte for byte and as they come; whatever fails in recording, they pass. What is written is the response
 * alone, redacted: no request, no key, and of what the model said only its length. A file is one run as a proxy can see it: a
 * request and those that follow upon its calls of tools. Runs under a base URL of {@link #baseUrl(String)} are apart from
 * others and bear its name.
 *
 * <p>Thread-safe. Starting and closing wait, so neither belongs on a thread that must not block.
 */
public final class Recorder implements AutoCloseable {

    /** What concerns one connection only, and is not passed on; beside what a connection header names. */
    private static final Set<String> HOP_BY_HOP = Set.of(
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade");

    private static final String NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}";

    private static final Pattern NAMED = Pattern.compile("/run/(" + NAME + ")((?:[/?].*)?)");

    private static final int LONGEST_HEAD = 64 * 1024;

    private static final long PATIENCE_SECONDS = 30;

    private final String target;
    private final String name;
    private final Journal journal;
    private final HttpClient client;
    private final ExecutorService writer = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "fluxtally-record-writer");
        thread.setDaemon(true);
        return thread;
    });
    private final AtomicBoolean closed = new AtomicBoolean();
    private final LoopbackServer server;

    private Recorder(Builder builder) {
        this.target = builder.target;
        this.name = builder.name;
        this.journal = new Journal(builder.folder, builder.client, builder.problems);
        LoopResources loops = LoopbackServer.threads("fluxtally-record");
        // A connection of its own for each request: one that is kept may be closed meanwhile, and then a request that
        // the
        // app would have got through fails or is sent twice.
        this.client = HttpClient.create(ConnectionProvider.newConnection())
                .disableRetry(true)
                .runOn(loops, false)
                .resolver(DefaultAddressResolverGroup.INSTANCE)
                .option(ChannelOption.TCP_NODELAY, true)
                .doOnChannelInit((observer, channel, remote) ->
                        channel.pipeline().addAfter(NettyPipeline.HttpCodec, "fluxtally-interim", new InterimAnswers()))
                .httpResponseDecoder(
                        spec -> spec.maxInitialLineLength(LONGEST_HEAD).maxHeaderSize(LONGEST_HEAD));
        this.server = LoopbackServer.start(loops, builder.port, this::pass);
    }

    /**
     * A builder.
     *
     * @param target the provider's base URL, as the app would use it
     * @param folder where the files go; it is made when there is one to write
     * @throws IllegalArgumentException when the target is no http or https URL of a host and a path alone, or its port is none
     */
    public static Builder builder(URI target, Path folder) {
        return new Builder(target, folder);
    }

    /** The port it listens on. */
    public int port() {
        return server.port();
    }

    /** The base URL to give to the app, without a trailing slash. */
    public String baseUrl() {
        return server.baseUrl();
    }

    /**
     * The base URL of runs of this name.
     *
     * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
     */
    public String baseUrl(String name) {
        return baseUrl() + "/run/" + checkedName(name);
    }

    /** The files written so far, in the order in which they were begun. */
    public Collection<RecordedFile> files() {
        return journal.files();
    }

    /**
     * Ends what is under way as if its client had left, frees the port, and waits until everything is written. A second call
     * does nothing.
     */
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        server.close();
        writer.shutdown();
        try {
            if (!writer.awaitTermination(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                journal.tell("not everything is written after " + PATIENCE_SECONDS + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Publisher<Void> pass(HttpServerRequest request, HttpServerResponse response) {
        String uri = request.uri();
        if (!uri.startsWith("/")) {
            return refuse(
                    response,
                    400,
                    "the request must name a path, not a URL: give the app " + baseUrl()
                            + " as its base URL, not as its proxy");
        }
        String run = name;
        String path = uri;
        if (uri.startsWith("/run/")) {
            Matcher named = NAMED.matcher(uri);
            if (!named.matches()) {
                return refuse(
                        response,
                        400,
                        "the name in /run/NAME must be a letter or digit, then letters, digits and _ . -");
            }
            run = named.group(1);
            path = named.group(2);
        }
        return pass(request, response, begin(request, run, path), path);
    }

    private Publisher<Void> pass(HttpServerRequest request, HttpServerResponse response, Passing passing, String path) {
        request.withConnection(connection -> passing.watch(connection.channel()));
        HttpClient.RequestSender sender = client.headers(headers -> copyRequestHeaders(request, headers))
                .request(request.method())
                .uri(target + path);
        HttpClient.ResponseReceiver<?> sent = hasBody(request.requestHeaders())
                ? sender.send(
                        (head, out) -> out.send(request.receive().retain().doOnNext(passing::asked), piece -> true))
                : sender;
        return sent.response((head, body) -> {
                    passing.responded(head);
                    copyResponseHead(head, response);
                    Flux<ByteBuf> pieces = body.retain()
                            .doOnNext(passing::copy)
                            .doOnComplete(() -> passing.end(Exchange.End.COMPLETE))
                            .doOnError(error -> passing.end(Exchange.End.BROKEN));
                    return response.send(pieces, piece -> true);
                })
                .onErrorResume(error -> fail(error, request, response, passing))
                .then();
    }

    private Publisher<Void> fail(
            Throwable error, HttpServerRequest request, HttpServerResponse response, Passing passing) {
        if (!passing.hasResponse && isNoConnection(error)) {
            passing.end(Exchange.End.NOT_SENT);
            // This one's message is what was sent.
            String why = error instanceof NotSslRecordException ? "what it answers is not TLS" : error.getMessage();
            String reason = "no connection to " + target + ": " + why;
            journal.tell(reason);
            return refuse(response, 502, reason);
        }
        // Once there was a response, what breaks on the provider's side has ended it already.
        passing.end(passing.hasResponse ? Exchange.End.CLIENT_LEFT : Exchange.End.BROKEN);
        // What broke on the one side breaks on the other.
        request.withConnection(connection -> LoopbackServer.reset(connection.channel(), () -> {}));
        return Mono.never();
    }

    private static boolean isNoConnection(Throwable error) {
        return error instanceof ConnectException
                || error instanceof UnknownHostException
                || error instanceof SSLException;
    }

    private static Publisher<Void> refuse(HttpServerResponse response, int status, String reason) {
        return response.status(status)
                .header("content-type", "text/plain;charset=UTF-8")
                .sendString(Mono.just("fluxtally record: " + reason + "\n"), StandardCharsets.UTF_8);
    }

    private static boolean hasBody(HttpHeaders headers) {
        return headers.contains(HttpHeaderNames.CONTENT_LENGTH) || headers.contains(HttpHeaderNames.TRANSFER_ENCODING);
    }

    private static void copyRequestHeaders(HttpServerRequest request, HttpHeaders to) {
        to.clear();
        copyHeaders(request.requestHeaders(), to);
        to.remove(HttpHeaderNames.HOST).remove(HttpHeaderNames.EXPECT);
        if (request.requestHeaders().contains(HttpHeaderNames.TRANSFER_ENCODING)) {
            // The body of a method that seldom has one would go out without a frame.
            to.set(HttpHeaderNames.TRANSFER_ENCODING, HttpHeaderValues.CHUNKED);
        }
        // An answer in an encoding that is not read here could not be recorded.
        if (to.contains(HttpHeaderNames.ACCEPT_ENCODING)) {
            boolean gzip = to.getAll(HttpHeaderNames.ACCEPT_ENCODING).stream()
                    .anyMatch(value ->
                            value.toLowerCase(Locale.ROOT).matches(".*\\bgzip(?!\\s*;\\s*q=0(\\.0*)?\\s*(,|$)).*"));
            to.set(HttpHeaderNames.ACCEPT_ENCODING, gzip ? "gzip" : "identity");
        }
    }

    private static void copyResponseHead(HttpClientResponse head, HttpServerResponse response) {
        response.status(head.status());
        copyHeaders(head.responseHeaders(), response.responseHeaders());
    }

    private static void copyHeaders(HttpHeaders from, HttpHeaders to) {
        Set<String> dropped = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        dropped.addAll(HOP_BY_HOP);
        from.getAll(HttpHeaderNames.CONNECTION).forEach(value -> {
            for (String named : value.split(",")) {
                dropped.add(named.strip());
            }
        });
        from.names().stream().filter(name -> !dropped.contains(name)).forEach(name -> to.set(name, from.getAll(name)));
    }

    private Passing begin(HttpServerRequest request, String run, String path) {
        Set<String> headers = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        headers.addAll(request.requestHeaders().names());
        boolean streamWanted = headers.contains("x-dashscope-sse")
                || request.requestHeaders().containsValue(HttpHeaderNames.ACCEPT, "text/event-stream", true);
        RequestHead head = new RequestHead(request.method().name(), path.split("[?#]", 2)[0], headers::contains);
        Exchange exchange = new Exchange(head, streamWanted);
        journal.begin(run, exchange);
        return new Passing(run, exchange);
    }

    /** What the traffic tells of itself; nothing that fails here reaches it. */
    private final class Passing {

        private final String run;
        private final Exchange exchange;
        private final ChannelFutureListener onClose = closed -> end(Exchange.End.CLIENT_LEFT);
        private volatile @Nullable Channel connection;
        private volatile boolean hasResponse;

        Passing(String run, Exchange exchange) {
            this.run = run;
            this.exchange = exchange;
        }

        void watch(Channel client) {
            connection = client;
            client.closeFuture().addListener(onClose);
        }

        void asked(ByteBuf piece) {
            guarded(() -> exchange.question().add(ByteBufUtil.getBytes(piece)));
        }

        void responded(HttpClientResponse head) {
            hasResponse = true;
            HttpHeaders headers = head.responseHeaders();
            guarded(() -> exchange.responded(
                    head.status().code(),
                    headers.get(HttpHeaderNames.CONTENT_TYPE),
                    headers.get(HttpHeaderNames.CONTENT_ENCODING),
                    headers.get("x-request-id")));
        }

        void copy(ByteBuf piece) {
            guarded(() -> exchange.copy(ByteBufUtil.getBytes(piece)));
        }

        void end(Exchange.End end) {
            guarded(() -> {
                if (exchange.end(end)) {
                    // A connection may outlive very many exchanges.
                    Channel client = connection;
                    if (client != null) {
                        client.closeFuture().removeListener(onClose);
                    }
                    writer.execute(() -> journal.takeEnded(run));
                }
            });
        }

        private void guarded(Runnable part) {
            try {
                part.run();
            } catch (RuntimeException | OutOfMemoryError failure) {
                journal.tell("recording failed with " + failure.getClass().getName());
            }
        }
    }

    private static String checkedName(String name) {
        if (!name.matches(NAME)) {
            throw new IllegalArgumentException(
                    "name must be a letter or digit, then up to 63 letters, digits and _ . -, but is \"" + name + "\"");
        }
        return name;
    }

    @Override
    public String toString() {
        return "recorder at " + baseUrl() + " in front of " + target;
    }

    /** What can be chosen about a recorder before it starts. Not thread-safe. */
    public static final class Builder {

        private final String target;
        private final Path folder;
        private int port;
        private String name = "recorded";
        private @Nullable Client client;
        private Consumer<String> problems = problem -> {};

        private Builder(URI target, Path folder) {
            String scheme = target.getScheme() == null ? "" : target.getScheme().toLowerCase(Locale.ROOT);
            if (!(scheme.equals("http") || scheme.equals("https"))
                    || target.getHost() == null
                    || target.getRawUserInfo() != null
                    || target.getRawQuery() != null
                    || target.getRawFragment() != null) {
                // The URL is not named: it may have a key in it.
                throw new IllegalArgumentException(
                        "target must be an http or https URL of a host and a path, without user, query and fragment");
            }
            if (target.getPort() == 0 || target.getPort() > 65535) {
                throw new IllegalArgumentException(
                        "target must have a port of 1 to 65535, but has " + target.getPort());
            }
            this.target = target.toString().replaceFirst("/+$", "");
            this.folder = folder;
        }

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

        /**
         * The name of runs that come without one; {@code recorded} unless given.
         *
         * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
         */
        public Builder name(String name) {
            this.name = checkedName(name);
            return this;
        }

        /** The client that is to replay the files; by default that of the protocol, which for OpenAI's is OpenAI's. */
        public Builder client(@Nullable Client client) {
            this.client = client;
            return this;
        }

        /** Told of what could not be recorded, once of each kind, from any thread. No message has anything that passed in it. */
        public Builder onProblem(Consumer<String> problems) {
            this.problems = problems;
            return this;
        }

        /**
         * Starts a recorder.
         *
         * @throws LoopbackException when the port is in use or it cannot listen for another reason
         */
        public Recorder start() {
            return new Recorder(this);
        }
    }
}
