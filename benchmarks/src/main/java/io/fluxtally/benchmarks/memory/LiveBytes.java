package io.fluxtally.benchmarks.memory;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.benchmarks.Machine;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.util.ListStatistics;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

/**
 * How many bytes stay in memory for a stream that is open, for a request that is finished, and for a run: the heap after a
 * garbage collection with 10,000 of them and without, again and again. Writes a file that the report reads. The JVM has to
 * compact its heap each time ({@code -XX:+UseSerialGC -XX:MarkSweepAlwaysCompactCount=1}).
 *
 * <p>It is no JMH benchmark, since nothing is timed. Arguments: the result file, how many of each (10,000), and how many
 * rounds (10).
 */
public final class LiveBytes {

    private static final double CONFIDENCE = 0.999;
    private static final int CHUNKS = 10;
    private static final int WARM_ROUNDS = 2;

    private final int count;
    private final int rounds;
    private final ObjectMapper json = new ObjectMapper();
    private final ArrayNode figures = json.createArrayNode();
    private final UsageRecorder recorder = UsageRecorder.withSinks();

    /** What is measured: in a field, since a local that is not read any more holds nothing. */
    private volatile Object[] held = {};

    private LiveBytes(int count, int rounds) {
        this.count = count;
        this.rounds = rounds;
    }

    /** Measures all, and writes the file. */
    public static void main(String[] arguments) throws IOException {
        int count = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 10_000;
        int rounds = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 10;
        LiveBytes bytes = new LiveBytes(count, rounds);
        bytes.measureAll();
        ObjectNode whole = bytes.json.createObjectNode();
        whole.set("machine", bytes.json.valueToTree(Machine.thisOne()));
        whole.set("memory", bytes.figures);
        bytes.json
                .writerWithDefaultPrettyPrinter()
                .writeValue(Path.of(arguments[0]).toFile(), whole);
    }

    private void measureAll() {
        measure("an open stream, without anything", i -> Open.stream(stream -> stream));
        measure("an open stream, captured", i -> Open.stream(stream -> ChatUsage.capture(stream, recorder)));
        measure("an open stream, captured in a run of its own", i -> openRun());
        measure("a run, which holds nothing yet", i -> RunScope.start());
        measure(
                "a finished stream in no run",
                false,
                i -> Open.stream(stream -> ChatUsage.capture(stream, recorder)).complete());
        measure("a run whose only stream is finished", i -> {
            OpenRun open = openRun();
            open.stream.complete();
            if (open.run.usage().sum().requests() != 1) {
                throw new IllegalStateException("the request was not booked: " + open.run.usage());
            }
            return open.run;
        });
        measure("one more request in a run", new IntFunction<>() {
            private final RunScope run = RunScope.start();

            @Override
            public Object apply(int number) {
                run.tally().add(request());
                return run;
            }
        });
        measure("what a request in a run is itself", i -> request());
        measure("a run after it is let go", false, i -> {
            OpenRun open = openRun();
            open.stream.complete();
            return this;
        });
    }

    private OpenRun openRun() {
        RunScope run = RunScope.start();
        return new OpenRun(run, Open.stream(stream -> run.wrap(ChatUsage.capture(stream, recorder))));
    }

    private record OpenRun(RunScope run, Open stream) {}

    private static RequestUsage request() {
        return RequestUsage.builder(UUID.randomUUID().toString(), Instant.now())
                .callId(UUID.randomUUID().toString())
                .usage(TokenUsage.of(1_000, 100), UsageSource.REPORTED)
                .build();
    }

    /** A stream on which some chunks have come, and more may. */
    private record Open(Sinks.Many<ChatResponse> source) {

        static Open stream(UnaryOperator<Flux<ChatResponse>> listening) {
            Open open = new Open(Sinks.many().unicast().onBackpressureBuffer());
            listening.apply(open.source.asFlux()).subscribe();
            for (int i = 0; i < CHUNKS; i++) {
                open.source.tryEmitNext(chunk("text", null)).orThrow();
            }
            return open;
        }

        /** Ends the stream, and leaves only an object that says that it was there. */
        Object complete() {
            source.tryEmitNext(chunk("", new DefaultUsage(1_000, 100))).orThrow();
            source.tryEmitComplete().orThrow();
            return CHUNKS;
        }

        private static ChatResponse chunk(String text, @Nullable Usage usage) {
            ChatResponseMetadata.Builder metadata =
                    ChatResponseMetadata.builder().id("response").model("scripted");
            if (usage != null) {
                metadata.usage(usage);
            }
            ChatGenerationMetadata end = ChatGenerationMetadata.builder()
                    .finishReason(usage == null ? null : "stop")
                    .build();
            return new ChatResponse(List.of(new Generation(new AssistantMessage(text), end)), metadata.build());
        }
    }

    /** The bytes that each of so many things holds on to, without the array that holds them. */
    private void measure(String what, IntFunction<Object> thing) {
        measure(what, true, thing);
    }

    private void measure(String what, boolean leavesSomething, IntFunction<Object> thing) {
        ListStatistics bytes = new ListStatistics();
        // What is loaded and made once is not to count, nor what the first rounds leave behind.
        for (int round = -WARM_ROUNDS; round < rounds; round++) {
            held = new Object[count];
            long before = liveBytes();
            for (int i = 0; i < count; i++) {
                held[i] = thing.apply(i);
            }
            long after = liveBytes();
            if (round >= 0) {
                bytes.addValue((double) (after - before) / count);
            }
        }
        if (leavesSomething == (Math.abs(bytes.getMean()) < 1)) {
            throw new IllegalStateException("%s leaves %.1f bytes, which cannot be: does the JVM compact the heap?"
                    .formatted(what, bytes.getMean()));
        }
        ObjectNode figure = figures.addObject();
        figure.put("what", what);
        figure.put("count", count);
        figure.put("score", bytes.getMean());
        figure.put("scoreError", bytes.getMeanErrorAt(CONFIDENCE));
    }

    /** What the heap holds once collecting again frees nothing more. */
    private static long liveBytes() {
        long last = Long.MAX_VALUE;
        while (true) {
            System.gc();
            long used = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
            if (used >= last) {
                return last;
            }
            last = used;
        }
    }
}
