package io.fluxtally.usage.metrics;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.Drain;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.ByteBuffer;
import java.time.Duration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class DroppedFiguresTest {

    private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
    private final WireTap tap = WireTap.builder()
            .maxEventBytes(1024)
            .drain(new Drain(Duration.ofHours(1), 1024, 1))
            .build();

    @Test
    @DisplayName("what may have cost a figure is counted by its reason, from 0")
    void reasons() {
        new DroppedFigures(tap).bindTo(registry);

        assertThat(registry.get("fluxtally.dropped.figures").functionCounters())
                .extracting(counter -> counter.getId().getTag("reason"))
                .containsExactlyInAnyOrder("unread_event", "refused_drain", "measuring_failure");
        assertThat(count("unread_event")).isZero();
        assertThat(count("refused_drain")).isZero();
    }

    @Test
    @DisplayName("an event that is too long to be read is counted")
    void unreadEvents() {
        new DroppedFigures(tap).bindTo(registry);

        responded().body(ByteBuffer.wrap(("data: \"" + "x".repeat(2000) + "\"\n\n").getBytes(UTF_8)));

        assertThat(count("unread_event")).isEqualTo(1);
        assertThat(count("refused_drain")).isZero();
    }

    @Test
    @DisplayName("a response that is not read on, because others are, is counted")
    void refusedDrains() {
        new DroppedFigures(tap).bindTo(registry);

        responded().leave(() -> {});
        responded().leave(() -> {});

        assertThat(count("refused_drain")).isEqualTo(1);
        assertThat(count("unread_event")).isZero();
    }

    /** A request whose stream has begun. */
    private WireRequest responded() {
        WireRequest request = tap.open(new RequestHead("POST", "/v1/chat/completions", header -> false), null);
        assertThat(request).isNotNull();
        request.responded(200, "text/event-stream", null);
        return request;
    }

    @Test
    @DisplayName("T22: a failure of the measuring is counted where it can be seen")
    void failures() {
        new DroppedFigures(tap).bindTo(registry);
        double before = count("measuring_failure");

        MeasuringFailures.report("a test of metrics", new IllegalStateException());

        assertThat(count("measuring_failure")).isEqualTo(before + 1);
    }

    private double count(String reason) {
        return registry.get("fluxtally.dropped.figures")
                .tag("reason", reason)
                .functionCounter()
                .count();
    }
}
