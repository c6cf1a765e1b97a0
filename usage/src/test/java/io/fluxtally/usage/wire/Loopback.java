package io.fluxtally.usage.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiFunction;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;

/** An HTTP server on loopback whose answers a test writes. */
public final class Loopback implements AutoCloseable {

    /** Answers a request whose body was read. */
    @FunctionalInterface
    public interface Answer {
        Publisher<Void> to(String requestBody, HttpServerResponse response);
    }

    private final Map<String, BiFunction<HttpServerRequest, HttpServerResponse, Publisher<Void>>> answers =
            new ConcurrentHashMap<>();
    private final DisposableServer server;

    private Loopback(boolean compress) {
        this.server = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .compress(compress)
                .handle((request, response) -> {
                    var answer = answers.get(request.fullPath());
                    return answer == null ? response.sendNotFound() : answer.apply(request, response);
                })
                .bindNow();
    }

    public static Loopback start() {
        return new Loopback(false);
    }

    /** A server that compresses for whoever asks for it. */
    public static Loopback compressing() {
        return new Loopback(true);
    }

    public String url() {
        return "http://127.0.0.1:" + server.port();
    }

    /** Sets what a path answers once the request's body is there. */
    public Loopback on(String path, Answer answer) {
        answers.put(
                path,
                (request, response) -> request.receive()
                        .aggregate()
                        .asString()
                        .defaultIfEmpty("")
                        .flatMap(body -> Mono.from(answer.to(body, response))));
        return this;
    }

    /** Answers a whole body. */
    public static Answer document(int status, String contentType, String body) {
        return (request, response) -> response.status(status)
                .header("Content-Type", contentType)
                .sendByteArray(Mono.just(body.getBytes(UTF_8)));
    }

    /** Answers parts, each written by itself. */
    public static Answer parts(String contentType, Flux<String> parts) {
        return (request, response) -> write(response, contentType, parts).then();
    }

    private static reactor.netty.NettyOutbound write(
            HttpServerResponse response, String contentType, Flux<String> parts) {
        return response.header("Content-Type", contentType)
                .send(parts.map(part -> Unpooled.wrappedBuffer(part.getBytes(UTF_8))), buffer -> true);
    }

    /** Answers parts and then nothing, until the client leaves; that is told by the latch. */
    public static Answer hanging(String contentType, Flux<String> parts, CountDownLatch left) {
        return (request, response) -> {
            response.withConnection(connection -> connection.onDispose(left::countDown));
            return write(response, contentType, parts.concatWith(Flux.never())).then();
        };
    }

    /** Answers parts and, when told, resets the connection. */
    public static Answer reset(String contentType, Flux<String> parts, Sinks.Empty<Void> when) {
        return (request, response) -> {
            response.withConnection(connection -> when.asMono()
                    .subscribe(
                            null,
                            null,
                            () -> connection.channel().eventLoop().execute(() -> {
                                connection.channel().config().setOption(ChannelOption.SO_LINGER, 0);
                                connection.channel().unsafe().closeForcibly();
                            })));
            return write(response, contentType, parts.concatWith(Flux.never())).then();
        };
    }

    /** Never answers; tells when the request came and when the client left. */
    public static Answer silence(CountDownLatch came, CountDownLatch left) {
        return (request, response) -> {
            response.withConnection(connection -> connection.onDispose(left::countDown));
            came.countDown();
            return Mono.never();
        };
    }

    @Override
    public void close() {
        server.disposeNow();
    }
}
