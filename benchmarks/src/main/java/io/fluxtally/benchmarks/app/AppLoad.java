package io.fluxtally.benchmarks.app;

import io.fluxtally.benchmarks.ChildJvm;
import io.fluxtally.benchmarks.Samples;
import io.fluxtally.benchmarks.Spent;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/**
 * An agent over HTTP with Fluxtally on and off: a Spring Boot app whose agent has a tool and streams its answer, at a rate of
 * requests that takes about half of the machine's processors. The app has a process of its own, one with and one without, which take turns;
 * the model and those who ask are in this one.
 *
 * <p>Arguments: the result file, pairs of processes (6), turns of each (4), seconds of a turn (4), seconds of the warm-up of each (80).
 */
public final class AppLoad {

    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final int AT_ONCE = 16;
    private static final double SHARE = 0.5;

    private final PrintWriter out;
    private final HttpClient http = HttpClient.create(
            ConnectionProvider.builder("load").maxConnections(1024).build());

    private AppLoad(PrintWriter out) {
        this.out = out;
    }

    /** Measures, and writes the file. */
    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[0]);
        int pairs = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 6;
        int turns = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 4;
        int seconds = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 4;
        int warmth = arguments.length > 4 ? Integer.parseInt(arguments[4]) : 80;
        try (PrintWriter out = new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
                ModelServer model = ModelServer.start()) {
            new AppLoad(out).run(model, file, pairs, turns, seconds, warmth);
        }
        Runtime.getRuntime().halt(0);
    }

    private void run(ModelServer model, Path file, int pairs, int turns, int seconds, int warmth) throws IOException {
        Samples samples = new Samples();
        int rate = 0;
        for (int pair = 1; pair <= pairs; pair++) {
            try (App off = new App(model, "off");
                    App on = new App(model, "on")) {
                for (App app : List.of(off, on, off, on)) {
                    warm(app, warmth / 2);
                }
                rate = rate == 0 ? rate(off, seconds) : rate;
                // The first of each is slower: it comes after the haste of the warm-up.
                for (int turn = -1; turn < turns; turn++) {
                    // Each is first as often as it is second.
                    for (App app : turn % 2 == 0 ? List.of(off, on) : List.of(on, off)) {
                        turn(app, rate, seconds, pair - 1, turn < 0 ? new Samples() : samples);
                    }
                }
                off.checkBooked(0, 0);
                on.checkBooked(on.asked.get() * ModelServer.ROUNDS, on.asked.get() * ModelServer.OUTPUT_TOKENS);
                out.println("pair %d of %d, which were asked %,d and %,d times"
                        .formatted(pair, pairs, off.asked.get(), on.asked.get()));
            }
            out.println(samples.table());
            samples.write(file);
        }
    }

    /** Asks as fast as the app answers; returns how many processors this and the app took for a request, in seconds. */
    private double warm(App app, int seconds) throws IOException {
        Spent ownBefore = Spent.now();
        Spent before = app.spent();
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        Long asked = Flux.range(0, Integer.MAX_VALUE)
                .takeWhile(number -> System.nanoTime() < end)
                .flatMap(number -> ask(app), AT_ONCE, 1)
                .count()
                .block(PATIENCE.plusSeconds(seconds));
        if (asked == null || asked == 0) {
            throw new IllegalStateException("nothing was asked");
        }
        return (app.spent().since(before).nanos() + Spent.now().since(ownBefore).nanos()) / 1e9 / asked;
    }

    private int rate(App app, int seconds) throws IOException {
        double each = warm(app, seconds);
        int processors = Runtime.getRuntime().availableProcessors();
        int rate = Math.max(1, (int) (SHARE * processors / each));
        out.println("%d requests a second, which take half of %d processors".formatted(rate, processors));
        return rate;
    }

    /** Asks at the rate, whether the app answers or not. */
    private void turn(App app, int rate, int seconds, int process, Samples samples) throws IOException {
        int requests = rate * seconds;
        long[] nanos = new long[requests];
        List<CompletableFuture<Long>> answers = new ArrayList<>();
        Spent ownBefore = Spent.now();
        Spent before = app.spent();
        long begin = System.nanoTime();
        for (int i = 0; i < requests; i++) {
            long due = begin + i * 1_000_000_000L / rate;
            for (long now = System.nanoTime(); now < due; now = System.nanoTime()) {
                LockSupport.parkNanos(due - now);
            }
            int number = i;
            answers.add(ask(app).map(asked -> nanos[number] = System.nanoTime() - due)
                    .toFuture());
        }
        CompletableFuture.allOf(answers.toArray(CompletableFuture[]::new)).join();
        double took = (System.nanoTime() - begin) / 1e9;
        Spent spent = app.spent().since(before);
        double own = Spent.now().since(ownBefore).nanos() / 1e9;
        Arrays.sort(nanos);
        out.println(
                "%-3s %,9.1f requests a second, %5.1f %% of the processors; %,8.1f µs of a processor and %,10d bytes each; ms: p50 %.2f, p99 %.2f"
                        .formatted(
                                app.name,
                                requests / took,
                                100
                                        * (own + spent.nanos() / 1e9)
                                        / took
                                        / Runtime.getRuntime().availableProcessors(),
                                spent.nanos() / 1e3 / requests,
                                spent.bytes() / requests,
                                nanos[requests / 2] / 1e6,
                                nanos[(int) (requests * 0.99)] / 1e6));
        samples.addTurn("AppUnderLoad", "requests", requests, app.name, process, spent.nanos() / 1e3, spent.bytes());
    }

    /** Asks once, and emits when the whole answer is there. */
    private Mono<Long> ask(App app) {
        app.asked.incrementAndGet();
        return http.get().uri(app.url).responseContent().aggregate().asString().map(answer -> {
            if (answer.length() < ModelServer.OUTPUT_TOKENS) {
                throw new IllegalStateException("no answer: " + answer);
            }
            return (long) answer.length();
        });
    }

    /** The app, in its process. */
    private static final class App implements AutoCloseable {

        private final String name;
        private final ChildJvm process;
        private final String url;
        private final AtomicLong asked = new AtomicLong();

        App(ModelServer model, String name) throws IOException {
            this.name = name;
            this.process = ChildJvm.start(AgentApp.class, model.url(), name);
            this.url = "http://127.0.0.1:%s/ask".formatted(port());
        }

        /** The first number it writes: a profiler may greet before it. */
        private String port() throws IOException {
            String line = process.read();
            while (!line.chars().allMatch(Character::isDigit)) {
                line = process.read();
            }
            return line;
        }

        private long[] figures() throws IOException {
            process.write("figures");
            return Arrays.stream(process.read().split(" "))
                    .mapToLong(Long::parseLong)
                    .toArray();
        }

        Spent spent() throws IOException {
            long[] figures = figures();
            return new Spent(figures[0], figures[1]);
        }

        void checkBooked(long requests, long tokens) throws IOException {
            long[] figures = figures();
            if (figures[2] != requests || figures[3] != tokens) {
                throw new IllegalStateException("booked are %,d requests and %,d tokens, but there were %,d and %,d"
                        .formatted(figures[2], figures[3], requests, tokens));
            }
        }

        @Override
        public void close() {
            process.close();
        }
    }
}
