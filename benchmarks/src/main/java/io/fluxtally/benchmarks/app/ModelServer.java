package io.fluxtally.benchmarks.app;

import io.fluxtally.benchmarks.wire.Family;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.List;
import reactor.core.publisher.Flux;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/** A model behind DashScope's protocol: it asks for the tool, and when it has been told what the tool says, it answers. */
final class ModelServer implements AutoCloseable {

    static final String TOOL = "get_weather";

    private static final int EVENTS = 100;
    private static final int TOOL_TOKENS = 16;

    /** What a request to the app spends: in the round of the tool and in the answer. */
    static final int OUTPUT_TOKENS = TOOL_TOKENS + EVENTS;

    /** How many model requests a request to the app comes to. */
    static final int ROUNDS = 2;

    private static final String CALL =
            """
            id:1
            event:result
            :HTTP_STATUS/200
            data:{"output":{"choices":[{"message":{"content":"","role":"assistant","tool_calls":[{"index":0,"id":"call_1",\
            "type":"function","function":{"name":"%s","arguments":"{\\"city\\":\\"Shanghai\\"}"}}]},"index":0,\
            "finish_reason":"tool_calls"}]},"usage":{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d},\
            "request_id":"b41c7d52-7b6e-9a01-8c3f-5d20e1f7a944"}

            """.formatted(TOOL, Family.INPUT_TOKENS, TOOL_TOKENS, Family.INPUT_TOKENS + TOOL_TOKENS);

    private final List<byte[]> call = List.of(CALL.getBytes(StandardCharsets.UTF_8));
    private final List<byte[]> answer = Family.DASHSCOPE.stream(EVENTS);
    private final DisposableServer server;

    private ModelServer() {
        HttpServer http = HttpServer.create().host("127.0.0.1").port(0);
        this.server = http.route(routes -> routes.post(
                        Family.DASHSCOPE.path,
                        (request, response) -> request.receive()
                                .aggregate()
                                .asString()
                                .flatMapMany(asked -> response.header("Content-Type", "text/event-stream")
                                        .send(Flux.fromIterable(isTold(asked) ? answer : call)
                                                .map(Unpooled::wrappedBuffer)))))
                .bindNow();
    }

    private static boolean isTold(String asked) {
        return asked.contains("\"role\":\"tool\"");
    }

    static ModelServer start() {
        return new ModelServer();
    }

    String url() {
        return "http://127.0.0.1:" + server.port();
    }

    @Override
    public void close() {
        server.disposeNow();
    }
}
