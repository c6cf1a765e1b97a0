package io.fluxtally.usage.wire.dialect;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.wire.TapUnderTest;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A model's endpoint: what it answers passes a tap, and what was booked for it is looked at. */
final class Endpoint {

    private final TapUnderTest tap = TapUnderTest.create();
    private final String provider;
    private final String path;
    private final String streamType;

    Endpoint(String provider, String path, String streamType) {
        this.provider = provider;
        this.path = path;
        this.streamType = streamType;
    }

    /** The same responses, from an endpoint that no dialect expects. */
    Endpoint movedTo(String elsewhere) {
        return new Endpoint(provider, elsewhere, streamType);
    }

    RequestUsage stream(String body, Ending ending) {
        answer(200, streamType, List.of(body.getBytes(UTF_8)), ending);
        return tap.only();
    }

    RequestUsage call(String body) {
        return call(200, body);
    }

    RequestUsage call(int status, String body) {
        answer(status, TapUnderTest.JSON, List.of(body.getBytes(UTF_8)), Ending.COMPLETE);
        return tap.only();
    }

    void assertNotBooked(boolean stream, String body) {
        answer(200, stream ? streamType : TapUnderTest.JSON, List.of(body.getBytes(UTF_8)), Ending.COMPLETE);
        assertThat(tap.drain()).isEmpty();
    }

    /** Feeds the body cut in two at every byte and then byte by byte; each time the same must be booked. */
    void assertNoCutMatters(boolean stream, String body) {
        byte[] bytes = body.getBytes(UTF_8);
        String type = stream ? streamType : TapUnderTest.JSON;
        answer(200, type, List.of(bytes), Ending.COMPLETE);
        String whole = show(tap.only());
        for (int cut = 0; cut <= bytes.length; cut++) {
            List<byte[]> pieces = List.of(Arrays.copyOf(bytes, cut), Arrays.copyOfRange(bytes, cut, bytes.length));
            answer(200, type, pieces, Ending.COMPLETE);
            assertThat(show(tap.only())).as("cut at %d", cut).isEqualTo(whole);
        }
        List<byte[]> single = new ArrayList<>();
        for (byte b : bytes) {
            single.add(new byte[] {b});
        }
        answer(200, type, single, Ending.COMPLETE);
        assertThat(show(tap.only())).as("byte by byte").isEqualTo(whole);
        assertThat(tap.tap().unreadEvents()).isZero();
    }

    /**
     * Ends the body after each of its bytes, in each way: it is booked once whatever is there, never as more than the whole
     * body says, and as reported only with the figures of the whole.
     */
    void assertNoPrefixIsBookedAsMore(String body) {
        byte[] bytes = body.getBytes(UTF_8);
        TokenUsage whole = stream(body, Ending.COMPLETE).usage();
        for (Ending ending : Ending.values()) {
            for (int end = 0; end < bytes.length; end++) {
                answer(200, streamType, List.of(Arrays.copyOf(bytes, end)), ending);
                RequestUsage request = tap.only();
                if (request.source() == UsageSource.REPORTED) {
                    assertThat(request.usage()).as("%s after %d", ending, end).isEqualTo(whole);
                } else if (request.usage() != null) {
                    assertThat(request.usage().totalTokens())
                            .as("%s after %d", ending, end)
                            .isLessThanOrEqualTo(whole.totalTokens());
                }
            }
        }
    }

    void assertBooked(RequestUsage request, RequestOutcome outcome, UsageSource source, @Nullable TokenUsage usage) {
        assertThat(request.provider()).isEqualTo(provider);
        assertThat(request.usage()).isEqualTo(usage);
        assertThat(request.source()).isEqualTo(source);
        assertThat(request.outcome()).isEqualTo(outcome);
    }

    private void answer(int status, String type, List<byte[]> pieces, Ending ending) {
        tap.feed(TapUnderTest.post(path), null, status, type, pieces, ending);
    }

    private static String show(RequestUsage request) {
        return "%s %s %s %s %s %s %s"
                .formatted(
                        request.provider(),
                        request.responseId(),
                        request.responseModel(),
                        request.outcome(),
                        request.source(),
                        request.usage(),
                        request.reported());
    }
}
