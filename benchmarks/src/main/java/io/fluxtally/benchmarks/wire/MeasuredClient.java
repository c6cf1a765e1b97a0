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
import java.util.ArrayList;
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

/**
 * The measured process: reads streams with the tap and without in turns, and writes what they spent. Both are in one process, so
 * that they have their compiled code in common: of two processes that do the same, one can be faster by a third.
 */
final class MeasuredClient {

    /** The first line that it writes: a profiler may greet before it. */
    static final String BEGIN = "begin";

    /** The last line that it writes. */
    static final String END = "end";

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final String KEY = "none";

    /** How many turns the warm-up has at most. */
    private static final int WARM_UP_TURNS = 6;

    /** After so many turns in a row in which nothing has become cheaper, nothing will. */
    private static final int TURNS_WITHOUT_GAIN = 2;

    /** What is less than so much of what it was has become cheaper; anything above is noise. */
    private static final double GAIN = 0.97;

    private final Family family;
    private final boolean decodes;
    private final int port;
    private final WebClient.Builder plain = WebClient.builder();
    private final WebClient.Builder tapped;

    /** What the tap has booked. */
    private final LongAdder requests = new LongAdder();

    private final LongAdder outputTokens = new LongAdder();
    private final LongAdder notReported = new LongAdder();

    private MeasuredClient(Family family, boolean decodes, int port) {
        this.family = family;
        this.decodes = decodes;
        this.port = port;
        ConnectionProvider connections =
                ConnectionProvider.builder("measured").maxConnections(256).build();
        plain.clientConnector(new ReactorClientHttpConnector(HttpClient.create(connections)));
        UsageRecorder recorder = UsageRecorder.withSinks(request -> {
            requests.increment();
            outputTokens.add(request.usage() == null ? 0 : request.usage().outputTokens());
            if (request.source() != UsageSource.REPORTED || request.outcome() != RequestOutcome.COMPLETED) {
                notReported.increment();
            }
        });
        this.tapped = plain.clone()
                .filter(new WireTapExchangeFilter(
                        WireTap.builder().recorder(recorder).build()));
    }

    /** Arguments: the server's port, the family, {@code body} or {@code decoded}, turns, milliseconds of a turn. */
    public static void main(String[] arguments) {
        MeasuredClient client = new MeasuredClient(
                Family.valueOf(arguments[1]), arguments[2].equals("decoded"), Integer.parseInt(arguments[0]));
        int turns = Integer.parseInt(arguments[3]);
        long nanos = Long.parseLong(arguments[4]) * 1_000_000;
        try (PrintWriter out =
                new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8)) {
            out.println(BEGIN);
            client.warmUp(nanos);
            for (int turn = 0; turn < turns; turn++) {
                for (Load load : Load.values()) {
                    for (Pair pair : client.turn(load, nanos)) {
                        out.println("%s plain %s %s".formatted(load, pair.plain.nanos() / 1e3, pair.plain.bytes()));
                        out.println("%s tapped %s %s".formatted(load, pair.tapped.nanos() / 1e3, pair.tapped.bytes()));
                    }
                }
            }
            out.println(END);
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
                long spent = turn(load, nanos).stream()
                        .mapToLong(pair -> pair.plain.nanos())
                        .min()
                        .orElseThrow();
                long before = cheapest.getOrDefault(load, Long.MAX_VALUE);
                if (spent < before * GAIN) {
                    since = 0;
                }
                cheapest.put(load, Math.min(before, spent));
            }
        }
    }

    /** What an operation came to in either way, right one after the other. */
    private record Pair(Spent plain, Spent tapped) {}

    /** Reads for so long, in either way by turns. */
    private List<Pair> turn(Load load, long nanos) {
        long requestsBefore = requests.sum();
        long tokensBefore = outputTokens.sum();
        List<Pair> pairs = new ArrayList<>();
        long begin = System.nanoTime();
        do {
            // Each is before the other as often as it is after it.
            Spent first = operation(load, plain);
            Spent ofTapped = operation(load, tapped).plus(operation(load, tapped));
            Spent ofPlain = first.plus(operation(load, plain));
            pairs.add(new Pair(ofPlain.per(2), ofTapped.per(2)));
        } while (System.nanoTime() - begin < nanos);
        long operations = 2L * pairs.size();
        check("requests", operations * load.streams, requests.sum() - requestsBefore);
        check("output tokens", operations * load.events(), outputTokens.sum() - tokensBefore);
        check("requests without the figure that was reported", 0, notReported.sum());
        return pairs;
    }

    /** Reads once, and returns what that spent. */
    private Spent operation(Load load, WebClient.Builder web) {
        Spent before = Spent.ofThreads();
        long seen = Objects.requireNonNull(
                Flux.range(0, load.streams)
                        .flatMap(number -> RunScope.start().wrap(stream(load, web)), load.streams)
                        .reduce(0L, Long::sum)
                        .block(PATIENCE),
                "seen");
        Spent spent = Spent.ofThreads().since(before);
        check("events or bytes", expected(load) * load.streams, seen);
        return spent;
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
    private Flux<Long> stream(Load load, WebClient.Builder web) {
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
