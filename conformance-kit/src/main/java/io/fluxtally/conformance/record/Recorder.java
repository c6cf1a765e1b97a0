package io.fluxtally.conformance.record;

import io.fluxtally.conformance.loopback.LoopbackException;
import io.fluxtally.conformance.proxy.PassThrough;
import io.fluxtally.conformance.proxy.PassageEnd;
import io.fluxtally.conformance.proxy.PassingRequest;
import io.fluxtally.conformance.proxy.Watcher;
import io.fluxtally.conformance.proxy.Watcher.Passage;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.net.URI;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

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

    private static final long PATIENCE_SECONDS = 30;

    private final String name;
    private final Journal journal;
    private final ExecutorService writer = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "fluxtally-record-writer");
        thread.setDaemon(true);
        return thread;
    });
    private final AtomicBoolean closed = new AtomicBoolean();
    private final PassThrough proxy;

    private Recorder(Builder builder) {
        this.name = builder.name;
        this.journal = new Journal(builder.folder, builder.client, builder.problems);
        this.proxy = PassThrough.start("record", builder.target, builder.port, new Watching());
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
        return proxy.port();
    }

    /** The base URL to give to the app, without a trailing slash. */
    public String baseUrl() {
        return proxy.baseUrl();
    }

    /**
     * The base URL of runs of this name.
     *
     * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
     */
    public String baseUrl(String name) {
        return proxy.baseUrl(name);
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
        proxy.close();
        writer.shutdown();
        try {
            if (!writer.awaitTermination(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                journal.tell("not everything is written after " + PATIENCE_SECONDS + " s");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Makes an exchange of each request. */
    private final class Watching implements Watcher {

        @Override
        public Passage begin(PassingRequest request) {
            Set<String> headers = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
            headers.addAll(request.headers().names());
            boolean streamWanted = headers.contains("x-dashscope-sse")
                    || request.headers().containsValue(HttpHeaderNames.ACCEPT, "text/event-stream", true);
            String run = request.run() == null ? name : request.run();
            Exchange exchange =
                    new Exchange(new RequestHead(request.method(), request.path(), headers::contains), streamWanted);
            journal.begin(run, exchange);
            return new Passing(run, exchange);
        }

        @Override
        public void problem(String text) {
            journal.tell(text);
        }
    }

    private final class Passing implements Passage {

        private final String run;
        private final Exchange exchange;

        Passing(String run, Exchange exchange) {
            this.run = run;
            this.exchange = exchange;
        }

        @Override
        public void asked(ByteBuf piece) {
            exchange.question().add(ByteBufUtil.getBytes(piece));
        }

        @Override
        public void responded(int status, HttpHeaders headers) {
            exchange.responded(
                    status,
                    headers.get(HttpHeaderNames.CONTENT_TYPE),
                    headers.get(HttpHeaderNames.CONTENT_ENCODING),
                    headers.get("x-request-id"));
        }

        @Override
        public void answered(ByteBuf piece) {
            exchange.copy(ByteBufUtil.getBytes(piece));
        }

        @Override
        public void ended(PassageEnd end) {
            exchange.end(end);
            writer.execute(() -> journal.takeEnded(run));
        }
    }

    @Override
    public String toString() {
        return "recorder: " + proxy;
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
            this.target = PassThrough.checkedTarget(target);
            this.folder = folder;
        }

        /**
         * The port to listen on; 0, the default, is any free one.
         *
         * @throws IllegalArgumentException when it is not in 0 to 65535
         */
        public Builder port(int port) {
            this.port = PassThrough.checkedPort(port);
            return this;
        }

        /**
         * The name of runs that come without one; {@code recorded} unless given.
         *
         * @throws IllegalArgumentException when it is not a letter or digit, then up to 63 letters, digits and {@code _ . -}
         */
        public Builder name(String name) {
            this.name = PassThrough.checkedName(name);
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
