package io.fluxtally.bedrock;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.SocketChannel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.springframework.ai.bedrock.converse.BedrockChatOptions;
import org.springframework.ai.bedrock.converse.BedrockProxyChatModel;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.HttpProtocol;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerResponse;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.StandardRetryStrategy;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;
import software.amazon.awssdk.utils.SdkAutoCloseable;
import software.amazon.eventstream.HeaderValue;
import software.amazon.eventstream.Message;

/** Bedrock on loopback, over HTTP/1.1 and HTTP/2, and the real clients to it. The last answer is given again. */
final class Bedrock implements AutoCloseable {

    static final String MODEL = "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-3:0";

    static {
        // Else the model's builder looks for a region at an address that machines in AWS have.
        System.setProperty("aws.region", "us-east-1");
    }

    /** Answers one request. */
    @FunctionalInterface
    interface Answer {
        Publisher<Void> to(HttpServerResponse response);
    }

    final BlockingQueue<RequestUsage> booked = new ArrayBlockingQueue<>(100);
    final UsageRecorder recorder = UsageRecorder.withSinks(booked::add);
    final ExecutionInterceptor interceptor =
            new WireTapExecutionInterceptor(WireTap.builder().recorder(recorder).build());

    private final List<Answer> answers;
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger executions = new AtomicInteger();
    private final List<SdkAutoCloseable> clients = new ArrayList<>();
    private final DisposableServer server;

    Bedrock(Answer... answers) {
        this.answers = List.of(answers);
        this.server = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .protocol(HttpProtocol.H2C, HttpProtocol.HTTP11)
                .handle((request, response) -> request.receive()
                        .aggregate()
                        .asString()
                        .defaultIfEmpty("")
                        .flatMap(body -> Mono.from(answer(body).to(response))))
                .bindNow();
    }

    private synchronized Answer answer(String request) {
        requests.add(request);
        return answers.get(Math.min(requests.size(), answers.size()) - 1);
    }

    List<String> requests() {
        return requests;
    }

    /** The next requests that are booked, in their order; fails if they do not come. */
    List<RequestUsage> awaitBooked(int count) throws InterruptedException {
        List<RequestUsage> next = new ArrayList<>();
        while (next.size() < count) {
            RequestUsage request = booked.poll(20, TimeUnit.SECONDS);
            if (request == null) {
                throw new AssertionError("booked: " + next);
            }
            next.add(request);
        }
        return next;
    }

    /** That nothing is booked that was not awaited, now or by an execution of the SDK that goes on. */
    void assertNothingElseBooked() throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (executions.get() > 0 && System.nanoTime() < deadline) {
            Thread.sleep(1);
        }
        assertThat(executions.get()).as("executions under way").isZero();
        assertThat(booked).isEmpty();
    }

    private void configure(ClientOverrideConfiguration.Builder settings, List<ExecutionInterceptor> interceptors) {
        settings.addExecutionInterceptor(countingExecutions());
        interceptors.forEach(settings::addExecutionInterceptor);
        settings.addExecutionInterceptor(countingExecutions());
        settings.retryStrategy(StandardRetryStrategy.builder()
                .maxAttempts(3)
                .backoffStrategy(BackoffStrategy.retryImmediately())
                .throttlingBackoffStrategy(BackoffStrategy.retryImmediately())
                .build());
    }

    /** Stands before and after the interceptors under test: the SDK runs one end forwards, the other backwards. */
    private ExecutionInterceptor countingExecutions() {
        return new ExecutionInterceptor() {
            @Override
            public void beforeExecution(Context.BeforeExecution context, ExecutionAttributes attributes) {
                executions.incrementAndGet();
            }

            @Override
            public void afterExecution(Context.AfterExecution context, ExecutionAttributes attributes) {
                executions.decrementAndGet();
            }

            @Override
            public void onExecutionFailure(Context.FailedExecution context, ExecutionAttributes attributes) {
                executions.decrementAndGet();
            }
        };
    }

    BedrockRuntimeClient client(ExecutionInterceptor... interceptors) {
        BedrockRuntimeClient client = BedrockRuntimeClient.builder()
                .endpointOverride(URI.create("http://127.0.0.1:" + server.port()))
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("id", "none")))
                .overrideConfiguration(settings -> configure(settings, List.of(interceptors)))
                .build();
        clients.add(client);
        return client;
    }

    BedrockRuntimeAsyncClient asyncClient(Protocol protocol, ExecutionInterceptor... interceptors) {
        BedrockRuntimeAsyncClient client = BedrockRuntimeAsyncClient.builder()
                .endpointOverride(URI.create("http://127.0.0.1:" + server.port()))
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("id", "none")))
                .httpClientBuilder(
                        NettyNioAsyncHttpClient.builder().protocol(protocol).readTimeout(Duration.ofSeconds(20)))
                .overrideConfiguration(settings -> configure(settings, List.of(interceptors)))
                .build();
        clients.add(client);
        return client;
    }

    /** A model whose clients are tapped. */
    BedrockProxyChatModel model(Protocol protocol) {
        return model(client(interceptor), asyncClient(protocol, interceptor));
    }

    /** A model as it is without a tap. */
    BedrockProxyChatModel bareModel(Protocol protocol) {
        return model(client(), asyncClient(protocol));
    }

    static BedrockProxyChatModel model(BedrockRuntimeClient client, BedrockRuntimeAsyncClient asyncClient) {
        return BedrockProxyChatModel.builder()
                .bedrockRuntimeClient(client)
                .bedrockRuntimeAsyncClient(asyncClient)
                .defaultOptions(BedrockChatOptions.builder().model(MODEL).build())
                .build();
    }

    /** A message of a stream, by the SDK's own encoder. */
    static byte[] message(String messageType, String typeHeader, String type, String json) {
        Map<String, HeaderValue> headers = new LinkedHashMap<>();
        headers.put(typeHeader, HeaderValue.fromString(type));
        headers.put(":content-type", HeaderValue.fromString("application/json"));
        headers.put(":message-type", HeaderValue.fromString(messageType));
        ByteBuffer encoded = new Message(headers, json.getBytes(UTF_8)).toByteBuffer();
        byte[] bytes = new byte[encoded.remaining()];
        encoded.get(bytes);
        return bytes;
    }

    static byte[] event(String type, String json) {
        return message("event", ":event-type", type, json);
    }

    static byte[] exception(String type) {
        return message("exception", ":exception-type", type, "{\"message\":\"slow down\"}");
    }

    static String usage(long input, long output) {
        return "{\"inputTokens\":%d,\"outputTokens\":%d,\"totalTokens\":%d}".formatted(input, output, input + output);
    }

    static List<byte[]> text(String usage) {
        return List.of(
                event("messageStart", "{\"role\":\"assistant\"}"),
                event("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"é漢\"}}"),
                event("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"b\"}}"),
                event("contentBlockStop", "{\"contentBlockIndex\":0}"),
                event("messageStop", "{\"stopReason\":\"end_turn\"}"),
                event("metadata", "{\"usage\":" + usage + ",\"metrics\":{\"latencyMs\":2040}}"));
    }

    static List<byte[]> toolCall(String id, String usage) {
        return List.of(
                event("messageStart", "{\"role\":\"assistant\"}"),
                event("contentBlockStart", """
                        {"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"%s","name":"weather"}}}""".formatted(id)),
                event("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"{}\"}}}"),
                event("contentBlockStop", "{\"contentBlockIndex\":0}"),
                event("messageStop", "{\"stopReason\":\"tool_use\"}"),
                event("metadata", "{\"usage\":" + usage + ",\"metrics\":{\"latencyMs\":2040}}"));
    }

    /** Answers messages, each written by itself. */
    static Answer stream(String requestId, Flux<byte[]> messages) {
        return response -> response.header("Content-Type", "application/vnd.amazon.eventstream")
                .header("x-amzn-RequestId", requestId)
                .send(messages.map(Unpooled::wrappedBuffer), buffer -> true)
                .then();
    }

    static Answer stream(String requestId, List<byte[]> messages) {
        return stream(requestId, Flux.fromIterable(messages));
    }

    /** Answers messages and then resets the connection. */
    static Answer reset(String requestId, List<byte[]> messages) {
        return response -> response.header("Content-Type", "application/vnd.amazon.eventstream")
                .header("x-amzn-RequestId", requestId)
                .send(Flux.fromIterable(messages).map(Unpooled::wrappedBuffer), buffer -> true)
                .then(drop(response));
    }

    /** Resets the connection without an answer. */
    static Answer drop() {
        return Bedrock::drop;
    }

    private static Mono<Void> drop(HttpServerResponse response) {
        return Mono.fromRunnable(() -> response.withConnection(connection -> {
                    var channel = connection.channel().parent() instanceof SocketChannel socket
                            ? socket
                            : connection.channel();
                    channel.config().setOption(ChannelOption.SO_LINGER, 0);
                    channel.eventLoop().execute(() -> channel.unsafe().closeForcibly());
                }))
                .then(Mono.never());
    }

    static Answer document(int status, @Nullable String errorType, String requestId, String json) {
        return response -> {
            response.status(status).header("Content-Type", "application/json").header("x-amzn-RequestId", requestId);
            if (errorType != null) {
                response.header("x-amzn-ErrorType", errorType);
            }
            return response.sendByteArray(Mono.just(json.getBytes(UTF_8))).then();
        };
    }

    static Answer throttled(String requestId) {
        return document(429, "ThrottlingException", requestId, "{\"message\":\"slow down\"}");
    }

    static String converse(String content, String stopReason, String usage) {
        return """
                {"metrics":{"latencyMs":1},"output":{"message":{"content":[%s],"role":"assistant"}},"stopReason":"%s","usage":%s}""".formatted(content, stopReason, usage);
    }

    void stop() {
        server.disposeNow();
    }

    /** Stops, and keeps the port from everybody else, and from a client that would come to connect with itself. */
    Socket stopAndHoldPort() throws IOException {
        stop();
        Socket held = new Socket();
        held.setReuseAddress(true);
        held.bind(new InetSocketAddress("127.0.0.1", server.port()));
        return held;
    }

    /** Closes all; nobody waits for the clients, whose event loops take seconds. */
    @Override
    public void close() {
        stop();
        clients.forEach(client -> CompletableFuture.runAsync(client::close));
    }
}
