package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.net.ConnectException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** What a request that its client has left holds, and gives back. */
class DrainedRequestTest {

    private static final Drain ONE = Drain.upTo(Duration.ofSeconds(60), 1_000).atOnce(1);

    private final TapUnderTest tap = TapUnderTest.with(settings -> settings.drain(ONE));

    private WireRequest open() {
        WireRequest request = tap.tap().open(post(OPENAI_PATH), null);
        assertThat(request).isNotNull();
        return request;
    }

    @Test
    @DisplayName("a request that is left and then turns out never to have been sent gives its place back")
    void neverSent() {
        WireRequest request = open();
        assertThat(request.leave(() -> {})).isTrue();

        request.failedToSend(new ConnectException("refused"));

        assertThat(tap.drain()).isEmpty();
        assertThat(open().leave(() -> {})).isTrue();
        assertThat(open().leave(() -> {})).isFalse();
    }

    @Test
    @DisplayName("whatever it was left by is stopped, once, and the end of its call in between takes nothing from that")
    void everyStop() {
        List<String> stopped = new ArrayList<>();
        WireRequest request = open();
        request.leave(() -> stopped.add("the body"));
        request.leave(() -> stopped.add("the exchange"));
        request.abandon();

        request.failed();
        request.completed();

        assertThat(stopped).containsExactly("the body", "the exchange");
        assertThat(tap.only().outcome()).isEqualTo(RequestOutcome.CANCELLED);
    }

    @Test
    @DisplayName("an abandon and a leave at the same time stop it all the same")
    void atTheSameTime() throws Exception {
        ExecutorService other = Executors.newSingleThreadExecutor();
        try {
            for (int i = 0; i < 1_000; i++) {
                AtomicInteger stopped = new AtomicInteger();
                CyclicBarrier both = new CyclicBarrier(2);
                WireRequest request = open();
                Future<?> abandoned = other.submit(() -> {
                    both.await();
                    request.abandon();
                    return null;
                });
                both.await();
                assertThat(request.leave(stopped::incrementAndGet)).isTrue();
                abandoned.get();
                request.failed();
                assertThat(stopped).hasValue(1);
                assertThat(tap.drain()).hasSize(1);
            }
        } finally {
            other.shutdownNow();
        }
    }

    @Test
    @DisplayName("what cannot be stopped is a failure of the measuring, and the rest is stopped")
    void stopThatThrows() {
        long before = MeasuringFailures.count();
        AtomicInteger stopped = new AtomicInteger();
        WireRequest request = open();
        request.leave(() -> {
            throw new IllegalStateException("broken");
        });
        request.leave(stopped::incrementAndGet);

        request.failed();

        assertThat(stopped).hasValue(1);
        assertThat(MeasuringFailures.count()).isGreaterThan(before);
        assertThat(open().leave(() -> {})).isTrue();
    }

    @Test
    @DisplayName("DashScope's stream is read to its very end, since a figure may follow the reason for the end")
    void figureAfterTheFinish() {
        for (boolean finished : new boolean[] {false, true}) {
            WireRequest request = tap.tap().open(post(DASHSCOPE_PATH), null);
            assertThat(request).isNotNull();
            request.responded(200, EVENTS, null);
            AtomicInteger stopped = new AtomicInteger();
            if (!finished) {
                assertThat(request.leave(stopped::incrementAndGet)).isTrue();
            }
            request.body(bytes(dashScopeEvents(dashScope("a", "stop", tokens(100, 7)))));
            if (finished) {
                assertThat(request.leave(stopped::incrementAndGet)).isTrue();
            }
            assertThat(stopped).hasValue(0);
            request.body(bytes(dashScopeEvents(dashScope("", "stop", tokens(100, 8)))));
            request.completed();

            RequestUsage booked = tap.only();
            assertThat(booked.usage()).isEqualTo(TokenUsage.of(100, 8));
            assertThat(booked.source()).isEqualTo(UsageSource.REPORTED);
            assertThat(booked.outcome()).isEqualTo(finished ? RequestOutcome.COMPLETED : RequestOutcome.CANCELLED);
        }
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(UTF_8));
    }
}
