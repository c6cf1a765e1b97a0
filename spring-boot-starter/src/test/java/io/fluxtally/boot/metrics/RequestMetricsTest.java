package io.fluxtally.boot.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.metrics.MetricNaming;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class RequestMetricsTest {

    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final RequestMetrics metrics = metrics();

    private static RequestMetrics metrics() {
        return new RequestMetrics(new MetricsProperties(true, MetricNaming.NATIVE, 100));
    }

    private static RequestUsage request() {
        return RequestUsage.builder("request", Instant.EPOCH)
                .usage(TokenUsage.of(10, 5), UsageSource.REPORTED)
                .build();
    }

    @Test
    @DisplayName(
            "requests that came before there was a registry are counted as soon as there is one, later ones at once")
    void early() {
        metrics.accept(request());
        metrics.accept(request());
        assertThat(registry.getMeters()).isEmpty();

        metrics.start(registry);
        assertThat(count("fluxtally.requests")).isEqualTo(2);

        metrics.accept(request());
        assertThat(count("fluxtally.requests")).isEqualTo(3);
        assertThat(count("fluxtally.input.tokens")).isEqualTo(30);
    }

    @Test
    @DisplayName(
            "only so many early requests are held; the sink says that one more is lost, so that it is counted as such")
    void tooManyEarly() {
        for (int i = 0; i < RequestMetrics.MAX_EARLY; i++) {
            metrics.accept(request());
        }

        assertThatIllegalStateException()
                .isThrownBy(() -> metrics.accept(request()))
                .withMessage("more than 1000 requests came before the app had started: their metrics are lost");
        metrics.start(registry);
        assertThat(count("fluxtally.requests")).isEqualTo(1000);
    }

    @Test
    @DisplayName("a request that comes while the registry does is counted once")
    void startAmongRequests() throws Exception {
        int rounds = 5_000;
        List<RequestMetrics> each =
                IntStream.range(0, rounds).mapToObj(round -> metrics()).toList();
        AtomicInteger arrived = new AtomicInteger();
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try {
            Future<?> requests = executor.submit(() -> {
                for (int i = 0; i < rounds; i++) {
                    meet(arrived, i);
                    each.get(i).accept(request());
                }
            });
            for (int i = 0; i < rounds; i++) {
                meet(arrived, i);
                each.get(i).start(registry);
            }
            requests.get();
        } finally {
            executor.shutdownNow();
        }

        assertThat(count("fluxtally.requests")).isEqualTo(rounds);
    }

    /** A barrier would wake the two one after the other. */
    private static void meet(AtomicInteger arrived, int round) {
        arrived.incrementAndGet();
        while (arrived.get() < 2 * (round + 1)) {
            Thread.yield();
        }
    }

    private double count(String name) {
        return registry.get(name).counter().count();
    }
}
