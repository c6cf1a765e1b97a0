package io.fluxtally.usage.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.distribution.CountAtBucket;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class UsageMetricsTest {

    private static final Instant START = Instant.parse("2025-11-23T10:15:30Z");

    private static final TokenUsage WITH_PARTS = TokenUsage.builder()
            .inputTokens(1000)
            .outputTokens(500)
            .totalTokens(1600)
            .part(TokenPart.CACHE_READ_INPUT, 640)
            .part(TokenPart.CACHE_CREATION_INPUT, 128)
            .part(TokenPart.REASONING_OUTPUT, 300)
            .build();

    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final UsageMetrics metrics = UsageMetrics.of(registry);

    private static RequestUsage.Builder request() {
        return RequestUsage.builder("request", START)
                .runId("run")
                .agent("planner")
                .provider("dashscope")
                .requestModel("qwen-plus")
                .responseModel("qwen-plus-2025-07-28")
                .usage(TokenUsage.of(10, 5), UsageSource.REPORTED);
    }

    @Test
    @DisplayName("input, output and their parts are each counted by themselves")
    void tokens() {
        metrics.accept(request().usage(WITH_PARTS, UsageSource.REPORTED).build());
        metrics.accept(request().usage(WITH_PARTS, UsageSource.REPORTED).build());

        assertThat(count("fluxtally.input.tokens")).isEqualTo(2000);
        assertThat(count("fluxtally.output.tokens")).isEqualTo(1000);
        assertThat(count("fluxtally.cache.read.input.tokens")).isEqualTo(1280);
        assertThat(count("fluxtally.cache.creation.input.tokens")).isEqualTo(256);
        assertThat(count("fluxtally.reasoning.output.tokens")).isEqualTo(600);
    }

    @ParameterizedTest
    @EnumSource(MetricNaming.class)
    @DisplayName("T12: no meter counts a total beside its parts")
    void noTotal(MetricNaming naming) {
        UsageMetrics.builder(registry)
                .naming(naming)
                .build()
                .accept(request().usage(WITH_PARTS, UsageSource.REPORTED).build());

        assertThat(names()).noneMatch(name -> name.contains("total"));
        assertThat(registry.getMeters().stream()
                        .filter(meter -> "tokens".equals(meter.getId().getBaseUnit()))
                        .map(meter ->
                                registry.get(meter.getId().getName()).counter().count()))
                .containsExactlyInAnyOrder(1000.0, 500.0, 640.0, 128.0, 300.0);
    }

    @Test
    @DisplayName("T14: a part that was not reported has no meter, one that was reported as 0 has")
    void absentParts() {
        metrics.accept(request()
                .usage(
                        TokenUsage.builder()
                                .inputTokens(10)
                                .outputTokens(5)
                                .part(TokenPart.CACHE_READ_INPUT, 0)
                                .build(),
                        UsageSource.REPORTED)
                .build());

        assertThat(names())
                .contains("fluxtally.cache.read.input.tokens")
                .doesNotContain("fluxtally.cache.creation.input.tokens", "fluxtally.reasoning.output.tokens");
        assertThat(count("fluxtally.cache.read.input.tokens")).isZero();
    }

    @Test
    @DisplayName("a request whose figure is missing is counted, as unreported and without tokens")
    void missing() {
        metrics.accept(request().usage(null, UsageSource.MISSING).build());

        assertThat(count("fluxtally.requests")).isEqualTo(1);
        assertThat(count("fluxtally.requests.unreported")).isEqualTo(1);
        assertThat(registry.get("fluxtally.requests")
                        .tag("source", "missing")
                        .counter()
                        .count())
                .isEqualTo(1);
        assertThat(names()).noneMatch(name -> name.endsWith(".tokens"));
    }

    @ParameterizedTest
    @EnumSource(
            value = UsageSource.class,
            names = {"PARTIAL", "ESTIMATED"})
    @DisplayName("a figure that is not the provider's last word counts under its own source, as unreported")
    void sources(UsageSource source) {
        metrics.accept(request().build());
        metrics.accept(request().usage(TokenUsage.of(7, 3), source).build());

        String tag = source.name().toLowerCase();
        assertThat(registry.get("fluxtally.input.tokens")
                        .tag("source", tag)
                        .counter()
                        .count())
                .isEqualTo(7);
        assertThat(registry.get("fluxtally.input.tokens")
                        .tag("source", "reported")
                        .counter()
                        .count())
                .isEqualTo(10);
        assertThat(count("fluxtally.requests.unreported")).isEqualTo(1);
    }

    @Test
    @DisplayName("a request outside any run is counted as unattributed, one inside is not")
    void unattributed() {
        metrics.accept(request().build());
        assertThat(count("fluxtally.requests.unattributed")).isZero();

        metrics.accept(request().runId(null).build());
        assertThat(count("fluxtally.requests.unattributed")).isEqualTo(1);
        assertThat(count("fluxtally.requests")).isEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource(RequestOutcome.class)
    @DisplayName("every outcome is counted under its name")
    void outcomes(RequestOutcome outcome) {
        metrics.accept(request().outcome(outcome).build());

        assertThat(registry.get("fluxtally.requests")
                        .tag("outcome", outcome.name().toLowerCase())
                        .counter()
                        .count())
                .isEqualTo(1);
    }

    @Test
    @DisplayName("duration and time to first chunk are timed; a response without a byte has no first chunk")
    void times() {
        metrics.accept(request().duration(Duration.ofMillis(900)).build());
        assertThat(names()).doesNotContain("fluxtally.request.time.to.first.chunk");

        metrics.accept(request()
                .duration(Duration.ofMillis(1100))
                .timeToFirstChunk(Duration.ofMillis(150))
                .build());

        Timer duration = registry.get("fluxtally.request.duration").timer();
        assertThat(duration.count()).isEqualTo(2);
        assertThat(duration.totalTime(TimeUnit.MILLISECONDS)).isEqualTo(2000);
        Timer firstChunk = registry.get("fluxtally.request.time.to.first.chunk").timer();
        assertThat(firstChunk.count()).isEqualTo(1);
        assertThat(firstChunk.totalTime(TimeUnit.MILLISECONDS)).isEqualTo(150);
    }

    @Test
    @DisplayName("T15: a request of which nothing is known has the same tags, each none")
    void fillers() {
        metrics.accept(RequestUsage.builder("request", START)
                .usage(WITH_PARTS, UsageSource.REPORTED)
                .build());

        assertThat(registry.get("fluxtally.input.tokens").counter().getId().getTags())
                .containsExactlyInAnyOrder(
                        Tag.of("provider", "none"),
                        Tag.of("request.model", "none"),
                        Tag.of("response.model", "none"),
                        Tag.of("operation", "chat"),
                        Tag.of("agent", "none"),
                        Tag.of("outcome", "completed"),
                        Tag.of("source", "reported"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " "})
    @DisplayName("T15: a blank name is none")
    void blank(String name) {
        metrics.accept(request().agent(name).build());

        assertThat(values("agent")).containsExactly("none");
    }

    @ParameterizedTest
    @EnumSource(MetricNaming.class)
    @DisplayName("each meter has the same tag keys whatever a request has")
    void sameKeys(MetricNaming naming) {
        UsageMetrics named = UsageMetrics.builder(registry).naming(naming).build();
        named.accept(request()
                .usage(WITH_PARTS, UsageSource.REPORTED)
                .timeToFirstChunk(Duration.ofMillis(1))
                .build());
        named.accept(RequestUsage.builder("request", START)
                .usage(WITH_PARTS, UsageSource.PARTIAL)
                .outcome(RequestOutcome.CANCELLED)
                .timeToFirstChunk(Duration.ofMillis(1))
                .build());
        named.accept(RequestUsage.builder("request", START).build());

        registry.getMeters().stream()
                .collect(Collectors.groupingBy(meter -> meter.getId().getName()))
                .forEach((name, meters) -> assertThat(meters)
                        .as(name)
                        .extracting(meter -> keys(meter))
                        .allMatch(keys -> keys.equals(keys(meters.get(0)))));
        assertThat(registry.find("fluxtally.requests").counters()).hasSize(3);
    }

    @Test
    @DisplayName(
            "under OpenTelemetry's naming, tokens and times have its names and tags, and no name of its older conventions")
    void otel() {
        UsageMetrics.builder(registry)
                .naming(MetricNaming.OTEL)
                .build()
                .accept(request()
                        .usage(WITH_PARTS, UsageSource.REPORTED)
                        .timeToFirstChunk(Duration.ofMillis(150))
                        .duration(Duration.ofMillis(900))
                        .build());

        assertThat(names())
                .containsExactlyInAnyOrder(
                        "gen_ai.client.inference.usage.input_tokens",
                        "gen_ai.client.inference.usage.output_tokens",
                        "gen_ai.client.inference.usage.cache_read.input_tokens",
                        "gen_ai.client.inference.usage.cache_write.input_tokens",
                        "gen_ai.client.inference.usage.reasoning.output_tokens",
                        "gen_ai.client.inference.duration",
                        "gen_ai.client.inference.time_to_first_chunk",
                        "fluxtally.requests",
                        "fluxtally.requests.unattributed",
                        "fluxtally.requests.unreported");
        assertThat(registry.get("gen_ai.client.inference.usage.input_tokens")
                        .counter()
                        .getId()
                        .getTags())
                .containsExactlyInAnyOrder(
                        Tag.of("gen_ai.provider.name", "dashscope"),
                        Tag.of("gen_ai.request.model", "qwen-plus"),
                        Tag.of("gen_ai.response.model", "qwen-plus-2025-07-28"),
                        Tag.of("gen_ai.operation.name", "chat"),
                        Tag.of("gen_ai.agent.name", "planner"),
                        Tag.of("gen_ai.token.modality", "unknown"),
                        Tag.of("fluxtally.outcome", "completed"),
                        Tag.of("fluxtally.source", "reported"));
        assertThat(keys(registry.get("gen_ai.client.inference.duration").timer()))
                .doesNotContain("gen_ai.token.modality");
    }

    @Test
    @DisplayName("under OpenTelemetry's naming, times are counted in the buckets that its conventions ask for")
    void otelBuckets() {
        UsageMetrics.builder(registry)
                .naming(MetricNaming.OTEL)
                .build()
                .accept(request().duration(Duration.ofMillis(900)).build());

        CountAtBucket[] buckets = registry.get("gen_ai.client.inference.duration")
                .timer()
                .takeSnapshot()
                .histogramCounts();
        assertThat(Arrays.stream(buckets).map(bucket -> bucket.bucket(TimeUnit.SECONDS)))
                .containsExactly(
                        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92);
        assertThat(Arrays.stream(buckets).filter(bucket -> bucket.count() == 1)).hasSize(7);
    }

    @Test
    @DisplayName("under OpenTelemetry's naming, providers have the names that it knows them by")
    void otelProviders() {
        UsageMetrics named =
                UsageMetrics.builder(registry).naming(MetricNaming.OTEL).build();
        for (String family : List.of("dashscope", "openai", "anthropic", "bedrock", "gemini", "ollama")) {
            named.accept(request().provider(family).build());
        }

        assertThat(values("gen_ai.provider.name"))
                .containsExactlyInAnyOrder("dashscope", "openai", "anthropic", "aws.bedrock", "gcp.gen_ai", "ollama");
    }

    @ParameterizedTest
    @ValueSource(strings = {"provider", "request.model", "response.model", "agent"})
    @DisplayName("of each tag there are only so many values; every later one is other, and nothing is lost")
    void overflow(String tag) {
        UsageMetrics bounded = UsageMetrics.builder(registry).maxTagValues(3).build();
        for (int i = 0; i < 10; i++) {
            String value = "value-" + i;
            RequestUsage.Builder request = request();
            switch (tag) {
                case "provider" -> request.provider(value);
                case "request.model" -> request.requestModel(value);
                case "response.model" -> request.responseModel(value);
                default -> request.agent(value);
            }
            bounded.accept(request.build());
        }

        assertThat(values(tag)).containsExactlyInAnyOrder("value-0", "value-1", "value-2", "other");
        assertThat(registry.get("fluxtally.requests")
                        .tag(tag, "other")
                        .counter()
                        .count())
                .isEqualTo(7);
        assertThat(count("fluxtally.input.tokens")).isEqualTo(100);
    }

    @Test
    @DisplayName(
            "a value that is known goes on being counted under its name after others have overflown, and none has no limit")
    void overflowKeepsTheFirst() {
        UsageMetrics bounded = UsageMetrics.builder(registry).maxTagValues(1).build();
        for (String agent : new String[] {"first", "second", "first", null}) {
            bounded.accept(request().agent(agent).build());
        }

        assertThat(values("agent")).containsExactlyInAnyOrder("first", "other", "none");
        assertThat(registry.get("fluxtally.requests")
                        .tag("agent", "first")
                        .counter()
                        .count())
                .isEqualTo(2);
    }

    @Test
    @DisplayName(
            "there are only ten times as many combinations of tags as values of each, and one more for each outcome and source")
    void overflowOfCombinations() {
        UsageMetrics bounded = UsageMetrics.builder(registry).maxTagValues(10).build();
        for (int agent = 0; agent < 10; agent++) {
            for (int model = 0; model < 10; model++) {
                for (RequestOutcome outcome : RequestOutcome.values()) {
                    bounded.accept(request()
                            .agent("agent-" + agent)
                            .responseModel("model-" + model)
                            .outcome(outcome)
                            .build());
                }
            }
        }

        assertThat(registry.find("fluxtally.requests").counters()).hasSize(100 + RequestOutcome.values().length);
        assertThat(registry.find("fluxtally.requests")
                        .tags("provider", "other", "request.model", "other", "response.model", "other")
                        .tag("agent", "other")
                        .counters())
                .hasSize(RequestOutcome.values().length)
                .allMatch(counter -> counter.count() == 80);
        assertThat(count("fluxtally.requests")).isEqualTo(500);
    }

    @Test
    @DisplayName("a name that is too long for one is other")
    void longNames() {
        metrics.accept(request().responseModel("m".repeat(255)).build());
        metrics.accept(request().responseModel("m".repeat(256)).build());

        assertThat(values("response.model")).containsExactlyInAnyOrder("m".repeat(255), "other");
    }

    @Test
    @DisplayName("a bound that is no bound is refused, with its name, its rule and its value")
    void invalidBound() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UsageMetrics.builder(registry).maxTagValues(0))
                .withMessage("maxTagValues must be 1 or more, but is 0");
    }

    @Test
    @DisplayName("many threads that count the same requests and new ones at once lose none, and leave the bounds alone")
    void concurrent() throws Exception {
        int threads = 16;
        int each = 2_000;
        UsageMetrics bounded = UsageMetrics.builder(registry).maxTagValues(5).build();
        CyclicBarrier start = new CyclicBarrier(threads);
        ExecutorService executor = Executors.newFixedThreadPool(threads);
        try {
            List<Future<Void>> done = executor.invokeAll(IntStream.range(0, threads)
                    .<Callable<Void>>mapToObj(thread -> () -> {
                        start.await();
                        for (int i = 0; i < each; i++) {
                            bounded.accept(request()
                                    .agent("agent-" + (i + thread) % 8)
                                    .responseModel("model-" + i % 7)
                                    .outcome(RequestOutcome.values()[i % 5])
                                    .usage(WITH_PARTS, UsageSource.REPORTED)
                                    .timeToFirstChunk(Duration.ofMillis(1))
                                    .duration(Duration.ofMillis(2))
                                    .build());
                        }
                        return null;
                    })
                    .toList());
            for (Future<Void> task : done) {
                task.get();
            }
        } finally {
            executor.shutdownNow();
        }

        long requests = (long) threads * each;
        assertThat(count("fluxtally.requests")).isEqualTo(requests);
        assertThat(count("fluxtally.input.tokens")).isEqualTo(1000 * requests);
        assertThat(count("fluxtally.output.tokens")).isEqualTo(500 * requests);
        assertThat(count("fluxtally.cache.read.input.tokens")).isEqualTo(640 * requests);
        assertThat(count("fluxtally.cache.creation.input.tokens")).isEqualTo(128 * requests);
        assertThat(count("fluxtally.reasoning.output.tokens")).isEqualTo(300 * requests);
        assertThat(registry.find("fluxtally.request.time.to.first.chunk").timers())
                .extracting(Timer::count)
                .satisfies(counts -> assertThat(
                                counts.stream().mapToLong(Long::longValue).sum())
                        .isEqualTo(requests));
        assertThat(values("agent")).hasSizeLessThanOrEqualTo(6);
        assertThat(values("response.model")).hasSizeLessThanOrEqualTo(6);
        assertThat(registry.find("fluxtally.requests").counters()).hasSizeLessThanOrEqualTo(55);
    }

    @Test
    @DisplayName(
            "T22: a name that the app has taken for a meter of another type costs that meter and no other, and is reported once")
    void takenName() {
        metrics.accept(request().build());
        SimpleMeterRegistry other = new SimpleMeterRegistry();
        Tag[] tags = registry.get("fluxtally.input.tokens")
                .counter()
                .getId()
                .getTags()
                .toArray(Tag[]::new);
        other.gauge("fluxtally.input.tokens", List.of(tags), 42);
        other.gauge("fluxtally.request.duration", List.of(tags), 42);
        UsageMetrics hindered = UsageMetrics.of(other);
        long before = MeasuringFailures.count();

        assertThatCode(() -> {
                    hindered.accept(request().build());
                    hindered.accept(request().build());
                })
                .doesNotThrowAnyException();

        assertThat(other.get("fluxtally.output.tokens").counter().count()).isEqualTo(10);
        assertThat(other.get("fluxtally.requests").counter().count()).isEqualTo(2);
        assertThat(MeasuringFailures.count() - before).isEqualTo(2);
    }

    @Test
    @DisplayName("as a sink it has each booked request once, also if its run is told of it twice")
    void onceThroughTheRecorder() {
        UsageRecorder recorder = UsageRecorder.withSinks(metrics);
        RunScope run = RunScope.start("run");
        RequestUsage once = request().build();

        recorder.book(run, once);
        recorder.book(run, once);

        assertThat(count("fluxtally.requests")).isEqualTo(1);
        assertThat(count("fluxtally.input.tokens")).isEqualTo(10);
    }

    private double count(String name) {
        return sum(registry, name);
    }

    private static double sum(MeterRegistry registry, String name) {
        return registry.get(name).counters().stream()
                .mapToDouble(counter -> counter.count())
                .sum();
    }

    private Set<String> names() {
        return registry.getMeters().stream()
                .map(meter -> meter.getId().getName())
                // How this registry shows buckets.
                .filter(name -> !name.endsWith(".histogram"))
                .collect(Collectors.toSet());
    }

    private Set<String> values(String tag) {
        return registry.get("fluxtally.requests").counters().stream()
                .map(counter -> counter.getId().getTag(tag))
                .collect(Collectors.toSet());
    }

    private static Set<String> keys(Meter meter) {
        return meter.getId().getTags().stream().map(Tag::getKey).collect(Collectors.toCollection(HashSet::new));
    }
}
