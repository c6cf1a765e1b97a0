package io.fluxtally.benchmarks.wire;

import io.netty.buffer.Unpooled;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import reactor.core.publisher.Flux;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/**
 * Serves streams over loopback as fast as they are read: each event is a chunk of HTTP's, as a provider sends it that does
 * not wait for the next. The first segment of a request's path is how many events it asks for.
 */
final class ModelServer implements AutoCloseable {

    private final Map<String, List<byte[]>> streams = new ConcurrentHashMap<>();
    private final DisposableServer server;

    private ModelServer() {
        HttpServer http = HttpServer.create().host("127.0.0.1").port(0);
        this.server = http.route(routes -> {
                    for (Family family : Family.values()) {
                        routes.post("/{events}" + family.path, (request, response) -> {
                            int events = Integer.parseInt(request.param("events"));
                            List<byte[]> stream =
                                    streams.computeIfAbsent(family.name() + events, absent -> family.stream(events));
                            return request.receive()
                                    .then()
                                    .thenMany(response.header("Content-Type", "text/event-stream")
                                            .send(Flux.fromIterable(stream).map(Unpooled::wrappedBuffer)));
                        });
                    }
                })
                .bindNow();
    }

    static ModelServer start() {
        return new ModelServer();
    }

    int port() {
        return server.port();
    }

    @Override
    public void close() {
        server.disposeNow();
    }
}
