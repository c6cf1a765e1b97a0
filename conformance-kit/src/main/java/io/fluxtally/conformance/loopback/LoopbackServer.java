package io.fluxtally.conformance.loopback;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelOption;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.net.BindException;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;
import org.reactivestreams.Publisher;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;

/**
 * An HTTP server on 127.0.0.1, and nowhere else, with threads of its own.
 *
 * <p>Thread-safe. {@link #close()} ends its threads. Starting and closing wait, so neither belongs on a thread that must not
 * block.
 */
public final class LoopbackServer implements AutoCloseable {

    private static final String HOST = "127.0.0.1";

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /**
     * A reset destroys what the sending kernel still holds, and on some systems what the receiving one does: let the client read it
     * first.
     */
    private static final Duration RESET_GRACE = Duration.ofMillis(20);

    /** Some clients put much into a URL or a header; the default of 4 and 8 KiB is less than what providers take. */
    private static final int LONGEST_HEAD = 64 * 1024;

    private final ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);

    private final AtomicBoolean closed = new AtomicBoolean();

    private final LoopResources loops;

    private final DisposableServer server;

    private LoopbackServer(
            LoopResources loops, int port, BiFunction<HttpServerRequest, HttpServerResponse, Publisher<Void>> handler) {
        this.loops = loops;
        this.server = bind(port, handler);
    }

    /**
     * Starts a server.
     *
     * @param port the port to listen on; 0 is any free one
     * @param handler answers each request
     * @throws LoopbackException when the port is in use or it cannot listen for another reason
     */
    public static LoopbackServer start(
            LoopResources loops, int port, BiFunction<HttpServerRequest, HttpServerResponse, Publisher<Void>> handler) {
        return new LoopbackServer(loops, port, handler);
    }

    /** Threads for a server to start on; it ends them when it closes or cannot start. */
    public static LoopResources threads(String name) {
        int workers = Math.max(2, Math.min(4, Runtime.getRuntime().availableProcessors()));
        return LoopResources.create(name, 1, workers, true);
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
     * Resets a connection, once its other side has all that was sent; it waits as long as that takes. Where the kernel does not
     * tell, as outside Linux, it has had a moment to read it.
     *
     * @param first what is to be done just before; also when the other side was quicker and closed the connection
     */
    public static void reset(Channel connection, Runnable first) {
        // Past the handlers: this is done when all that was written before it is with the kernel.
        connection
                .pipeline()
                .firstContext()
                .writeAndFlush(Unpooled.EMPTY_BUFFER)
                .addListener(flushed -> resetWhenSent(connection, first));
    }

    private static void resetWhenSent(Channel connection, Runnable first) {
        connection
                .eventLoop()
                .schedule(
                        () -> {
                            if (connection.isActive() && SendQueue.hasBytes(connection)) {
                                resetWhenSent(connection, first);
                                return;
                            }
                            first.run();
                            resetOnClose(connection);
                            connection.close();
                        },
                        RESET_GRACE.toMillis(),
                        TimeUnit.MILLISECONDS);
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
            connections.forEach(LoopbackServer::resetOnClose);
            connections.close().await(PATIENCE.toMillis());
            loops.disposeLater(Duration.ZERO, PATIENCE).toFuture().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            loops.disposeLater(Duration.ZERO, PATIENCE).subscribe();
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the threads of " + this + " did not end within " + PATIENCE, e);
        }
    }

    private DisposableServer bind(
            int port, BiFunction<HttpServerRequest, HttpServerResponse, Publisher<Void>> handler) {
        try {
            return HttpServer.create()
                    .host(HOST)
                    .port(port)
                    .runOn(loops, false)
                    .httpRequestDecoder(
                            spec -> spec.maxInitialLineLength(LONGEST_HEAD).maxHeaderSize(LONGEST_HEAD))
                    .doOnChannelInit((observer, channel, remote) -> connections.add(channel))
                    .handle(handler)
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

    private static void resetOnClose(Channel channel) {
        try {
            channel.config().setOption(ChannelOption.SO_LINGER, 0);
        } catch (ChannelException e) {
            // The client was quicker: a closed socket has no options, and needs none.
        }
    }

    @Override
    public String toString() {
        return "the server at " + baseUrl();
    }
}
