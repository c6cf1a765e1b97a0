package io.fluxtally.benchmarks.wire;

import com.alibaba.cloud.ai.dashscope.api.DashScopeApi;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.benchmarks.Spent;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.MediaType;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Flux;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/** The measured process: reads streams in one of the ways that are compared, and writes what each sample spent. */
final class MeasuredClient {

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final String KEY = "none";

    /** How many turns the warm-up has at most. */
    private static final int WARM_UP_TURNS = 10;

    /** After so many turns in a row in which nothing has become cheaper, nothing will. */
    private static final int TURNS_WITHOUT_GAIN = 2;

    /** What is less than so much of what it was has become cheaper; anything above is noise. */
    private static final double GAIN = 0.97;

    private final Family family;
    private final boolean decodes;
    private final boolean tapped;
    private final int port;
    private final WebClient.Builder web;

    /** What the tap has booked. */
    private final LongAdder requests = new LongAdder();

    private final LongAdder outputTokens = new LongAdder();
    private final LongAdder notReported = new LongAdder();

    private MeasuredClient(Family family, boolean decodes, boolean tapped, int port) {
        this.family = family;
        this.decodes = decodes;
        this.tapped = tapped;
        this.port = port;
        ConnectionProvider connections =
                ConnectionProvider.builder("measured").maxConnections(256).build();
        this.web = WebClient.builder().clientConnector(new ReactorClientHttpConnector(HttpClient.create(connections)));
        if (tapped) {
            UsageRecorder recorder = UsageRecorder.withSinks(request -> {
                requests.increment();
                outputTokens.add(request.usage() == null ? 0 : request.usage().outputTokens());
                if (request.source() != UsageSource.REPORTED || request.outcome() != RequestOutcome.COMPLETED) {
                    notReported.increment();
                }
            });
            web.filter(new WireTapExchangeFilter(
                    WireTap.builder().recorder(recorder).build()));
        }
    }

    /** Arguments: the server's port, the family, {@code body} or {@code decoded}, {@code plain} or {@code tapped}, samples, their milliseconds. */
    public static void main(String[] arguments) {
        MeasuredClient client = new MeasuredClient(
                Family.valueOf(arguments[1]),
                arguments[2].equals("decoded"),
                arguments[3].equals("tapped"),
                Integer.parseInt(arguments[0]));
        int samples = Integer.parseInt(arguments[4]);
        long nanos = Long.parseLong(arguments[5]) * 1_000_000;
        try (PrintWriter out =
                new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8)) {
            client.warmUp(nanos);
            for (int sample = 0; sample < samples; sample++) {
                for (Load load : Load.values()) {
                    Spent spent = client.sample(load, nanos);
                    out.println("%s %s %s".formatted(load, spent.nanos() / 1e3, spent.bytes()));
                }
            }
        }
        System.exit(0);
    }

    /**
     * Reads all loads in turn until the compiler has done what it will: until none of them has become cheaper for some turns,
     * or there were many.
     */
    private void warmUp(long nanos) {
        Map<Load, Long> cheapest = new EnumMap<>(Load.class);
        int since = 0;
        for (int turn = 0; turn < WARM_UP_TURNS && since < TURNS_WITHOUT_GAIN; turn++) {
            since++;
            for (Load load : Load.values()) {
                long spent = sample(load, nanos).nanos();
                long before = cheapest.getOrDefault(load, Long.MAX_VALUE);
                if (spent < before * GAIN) {
                    since = 0;
                }
                cheapest.put(load, Math.min(before, spent));
            }
        }
    }

    /** Reads for so long, and returns what an operation came to. */
    private Spent sample(Load load, long nanos) {
        long requestsBefore = requests.sum();
        long tokensBefore = outputTokens.sum();
        long expected = expected(load) * load.streams;
        int operations = 0;
        Flux<Long> operation =
                Flux.range(0, load.streams).flatMap(number -> RunScope.start().wrap(stream(load)), load.streams);
        long begin = System.nanoTime();
        Spent before = Spent.now();
        do {
            long seen = Objects.requireNonNull(operation.reduce(0L, Long::sum).block(PATIENCE), "seen");
            check("events or bytes", expected, seen);
            operations++;
        } while (System.nanoTime() - begin < nanos);
        Spent spent = Spent.now().since(before);
        if (tapped) {
            check("requests", (long) operations * load.streams, requests.sum() - requestsBefore);
            check("output tokens", (long) operations * load.events(), outputTokens.sum() - tokensBefore);
            check("requests without the figure that was reported", 0, notReported.sum());
        }
        return new Spent(spent.nanos() / operations, spent.bytes() / operations);
    }

    /** What is seen of one stream. */
    private long expected(Load load) {
        return decodes
                ? load.eventsEach
                : family.stream(load.eventsEach).stream()
                        .mapToLong(event -> event.length)
                        .sum();
    }

    private static void check(String what, long expected, long seen) {
        if (expected != seen) {
            throw new IllegalStateException("%,d %s were expected, but there were %,d".formatted(expected, what, seen));
        }
    }

    /** One stream, and the number of its events or, if it is not decoded, of its bytes. */
    private Flux<Long> stream(Load load) {
        String base = "http://127.0.0.1:%d/%d".formatted(port, load.eventsEach);
        if (!decodes) {
            return web.build()
                    .post()
                    .uri(base + family.path)
                    .contentType(MediaType.APPLICATION_JSON)
                    .bodyValue("{}")
                    .retrieve()
                    .bodyToFlux(DataBuffer.class)
                    .map(buffer -> {
                        long bytes = buffer.readableByteCount();
                        DataBufferUtils.release(buffer);
                        return bytes;
                    });
        }
        return switch (family) {
            case DASHSCOPE ->
                DashScopeApi.builder()
                        .baseUrl(base)
                        .apiKey(KEY)
                        .webClientBuilder(web)
                        .build()
                        .chatCompletionStream(
                                new DashScopeApiSpec.ChatCompletionRequest(
                                        "qwen-plus",
                                        new DashScopeApiSpec.ChatCompletionRequestInput(
                                                List.of(new DashScopeApiSpec.ChatCompletionMessage(
                                                        "question", DashScopeApiSpec.ChatCompletionMessage.Role.USER))),
                                        true),
                                new LinkedMultiValueMap<>())
                        .map(chunk -> 1L);
            case OPENAI ->
                OpenAiApi.builder()
                        .baseUrl(base)
                        .apiKey(KEY)
                        .webClientBuilder(web)
                        .build()
                        .chatCompletionStream(new OpenAiApi.ChatCompletionRequest(
                                List.of(new OpenAiApi.ChatCompletionMessage(
                                        "question", OpenAiApi.ChatCompletionMessage.Role.USER)),
                                true))
                        .map(chunk -> 1L);
        };
    }
}
