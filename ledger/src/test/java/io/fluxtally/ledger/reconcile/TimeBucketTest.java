package io.fluxtally.ledger.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Instant;
import java.time.ZoneId;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("A bucket of time")
class TimeBucketTest {

    @ParameterizedTest
    @CsvSource({
        "1h, UTC, 2026-01-31T12:59:59.999Z, 2026-01-31T12:00:00Z",
        "1h, UTC, 2026-01-31T13:00:00Z, 2026-01-31T13:00:00Z",
        "15m, UTC, 2026-01-31T12:44:00Z, 2026-01-31T12:30:00Z",
        "30s, UTC, 2026-01-31T12:44:31Z, 2026-01-31T12:44:30Z",
        "1h, Asia/Kolkata, 2026-01-31T12:15:00Z, 2026-01-31T11:30:00Z",
        "1d, UTC, 2026-01-31T23:59:59Z, 2026-01-31T00:00:00Z",
        "1d, Asia/Shanghai, 2026-01-31T16:00:00Z, 2026-01-31T16:00:00Z",
        "1d, Asia/Shanghai, 2026-01-31T15:59:59Z, 2026-01-30T16:00:00Z",
        // The day on which clocks in Berlin go forward has 23 hours.
        "1d, Europe/Berlin, 2026-03-29T21:59:59Z, 2026-03-28T23:00:00Z",
        "1d, Europe/Berlin, 2026-03-29T22:00:00Z, 2026-03-29T22:00:00Z",
        // The hour that comes twice there are two hours.
        "1h, Europe/Berlin, 2026-10-25T00:30:00Z, 2026-10-25T00:00:00Z",
        "1h, Europe/Berlin, 2026-10-25T01:30:00Z, 2026-10-25T01:00:00Z",
        "1h, UTC, 1969-12-31T23:30:00Z, 1969-12-31T23:00:00Z"
    })
    @DisplayName("begins on the clock of its zone")
    void start(String bucket, String zone, Instant time, Instant start) {
        assertThat(TimeBucket.of(bucket).startOf(time, ZoneId.of(zone))).isEqualTo(start);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1s", "1h", "1d", "999999d", "999999h"})
    @DisplayName("is there for any time, however odd")
    void anyTime(String bucket) {
        for (ZoneId zone : List.of(ZoneId.of("UTC"), ZoneId.of("Asia/Shanghai"), ZoneId.of("America/New_York"))) {
            for (Instant time : List.of(Instant.MIN, Instant.EPOCH, Instant.MAX)) {
                assertThat(TimeBucket.of(bucket).startOf(time, zone)).isNotNull();
            }
            assertThat(TimeBucket.of(bucket).startOf(Instant.EPOCH, zone)).isBeforeOrEqualTo(Instant.EPOCH);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "h", "1", "0h", "-1h", "1w", "1.5h", "1H", "9999999s"})
    @DisplayName("is a number and a unit")
    void wrong(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TimeBucket.of(text))
                .withMessageContaining("such as 1h, but is \"" + text + "\"");
    }
}
