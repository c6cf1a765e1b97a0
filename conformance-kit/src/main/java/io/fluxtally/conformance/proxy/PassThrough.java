package io.fluxtally.conformance.proxy;

import io.fluxtally.conformance.loopback.LoopbackException;
import io.fluxtally.conformance.loopback.LoopbackServer;
import io.fluxtally.conformance.proxy.Watcher.Passage;
import io.netty.buffer.ByteBuf;
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
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
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
 * A proxy on 127.0.0.1 between an app and a model provider. Both bodies pass byte for byte and as they come, and a
 * {@link Watcher} sees them pass; whatever fails in watching, they pass.
 *
 * <p>Of the codings that the app accepts for the answer, gzip alone is passed on, so that what passes can be read. Requests
 * under {@code /run/NAME} bear that name, and are passed on without it.
 *
 * <p>Thread-safe. Starting and closing wait, so neither belongs on a thread that must not block.
 */
public final class PassThrough implements AutoCloseable {

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

    private final String command;
    private final String target;
    private final Watcher watcher;
    private final HttpClient client;
    private final LoopbackServer server;

    private PassThrough(String command, String target, int port, Watcher watcher) {
        this.command = command;
        this.target = target;
        this.watcher = watcher;
        LoopResources loops = LoopbackServer.threads("fluxtally-" + command);
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
        this.server = LoopbackServer.start(loops, port, this::pass);
    }

    /**
     * Starts a proxy.
     *
     * @param command the command that it is there for, to name in threads and answers of its own
     * @param target the provider's base URL as {@link #checkedTarget} returns it
     * @param port the port to listen on; 0 is any free one
     * @param watcher watches what passes
     * @throws LoopbackException when the port is in use or it cannot listen for another reason
     */
    public static PassThrough start(String command, String target, int port, Watcher watcher) {
        return new PassThrough(command, target, port, watcher);
    }

    /**
     * A base URL without slashes at its end.
     *
     * @throws IllegalArgumentException when it is no http or https URL of a host and a path alone, or its port is none
     */
    public static String checkedTarget(URI target) {
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
            throw new IllegalArgumentException("target must have a port of 1 to 65535, but has " + target.getPort());
        }
        return target.toString().replaceFirst("/+$", "");
    }

    /**
     * A port to listen on.
     *
     * @throws IllegalArgumentException when it is not in 0 to 65535
     */
    public static int checkedPort(int port) {
        if (port < 0 || port > 65535) {
            throw new IllegalArgumentException("port must be 0 to 65535, but is " + port);
        }
        return port;
    }

    /**
     * A name of runs.
     *
     * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
     */
    public static String checkedName(String name) {
        if (!name.matches(NAME)) {
            throw new IllegalArgumentException(
                    "name must be a letter or digit, then up to 63 letters, digits and _ . -, but is \"" + name + "\"");
        }
        return name;
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
     * @throws IllegalArgumentException as {@link #checkedName} does
     */
    public String baseUrl(String name) {
        return baseUrl() + "/run/" + checkedName(name);
    }

    /** Ends what is under way as if its client had left, and frees the port. A second call does nothing. */
    @Override
    public void close() {
        server.close();
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
        String run = null;
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
                            .doOnNext(passing::answered)
                            .doOnComplete(() -> passing.end(PassageEnd.COMPLETE))
                            .doOnError(error -> passing.end(PassageEnd.BROKEN));
                    return response.send(pieces, piece -> true);
                })
                .onErrorResume(error -> fail(error, request, response, passing))
                .then();
    }

    private Publisher<Void> fail(
            Throwable error, HttpServerRequest request, HttpServerResponse response, Passing passing) {
        if (!passing.hasResponse && isNoConnection(error)) {
            passing.end(PassageEnd.NOT_SENT);
            // This one's message is what was sent.
            String why = error instanceof NotSslRecordException ? "what it answers is not TLS" : error.getMessage();
            String reason = "no connection to " + target + ": " + why;
            tell(reason);
            return refuse(response, 502, reason);
        }
        // Once there was a response, what breaks on the provider's side has ended it already.
        passing.end(passing.hasResponse ? PassageEnd.CLIENT_LEFT : PassageEnd.BROKEN);
        // What broke on the one side breaks on the other.
        request.withConnection(connection -> LoopbackServer.reset(connection.channel(), () -> {}));
        return Mono.never();
    }

    private static boolean isNoConnection(Throwable error) {
        return error instanceof ConnectException
                || error instanceof UnknownHostException
                || error instanceof SSLException;
    }

    private Publisher<Void> refuse(HttpServerResponse response, int status, String reason) {
        return response.status(status)
                .header("content-type", "text/plain;charset=UTF-8")
                .sendString(Mono.just("fluxtally " + command + ": " + reason + "\n"), StandardCharsets.UTF_8);
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
        // An answer in an encoding that is not read here could not be watched.
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

    private Passing begin(HttpServerRequest request, @Nullable String run, String path) {
        Passing passing = new Passing();
        passing.begin(
                new PassingRequest(run, request.method().name(), path.split("[?#]", 2)[0], request.requestHeaders()));
        return passing;
    }

    private void tell(String problem) {
        try {
            watcher.problem(problem);
        } catch (Throwable failure) {
            // Nobody is left to tell.
        }
    }

    /** What the traffic tells of itself; nothing that fails here reaches it. */
    private final class Passing {

        private final AtomicBoolean ended = new AtomicBoolean();
        private final ChannelFutureListener onClose = closed -> end(PassageEnd.CLIENT_LEFT);
        private volatile @Nullable Passage passage;
        private volatile @Nullable Channel connection;
        private volatile boolean hasResponse;

        void begin(PassingRequest request) {
            guarded(() -> passage = watcher.begin(request));
        }

        void watch(Channel client) {
            connection = client;
            client.closeFuture().addListener(onClose);
        }

        void asked(ByteBuf piece) {
            seen(passage -> passage.asked(piece.duplicate()));
        }

        void responded(HttpClientResponse head) {
            hasResponse = true;
            seen(passage -> passage.responded(head.status().code(), head.responseHeaders()));
        }

        void answered(ByteBuf piece) {
            seen(passage -> passage.answered(piece.duplicate()));
        }

        void end(PassageEnd end) {
            if (!ended.compareAndSet(false, true)) {
                return;
            }
            // A connection may outlive very many requests.
            Channel client = connection;
            if (client != null) {
                client.closeFuture().removeListener(onClose);
            }
            Passage watching = passage;
            if (watching != null) {
                guarded(() -> watching.ended(end));
            }
        }

        private void seen(Consumer<Passage> part) {
            Passage watching = passage;
            if (watching != null && !ended.get()) {
                guarded(() -> part.accept(watching));
            }
        }

        private void guarded(Runnable part) {
            try {
                part.run();
            } catch (Throwable failure) {
                tell("watching failed with " + failure.getClass().getName());
            }
        }
    }

    @Override
    public String toString() {
        return "proxy at " + baseUrl() + " in front of " + target;
    }
}
