package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static org.assertj.core.api.Assertions.assertThat;

import java.net.ConnectException;
import java.time.Duration;
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
}
