package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("The progress of a command")
class ProgressLinesTest {

    @Test
    @DisplayName("is said every five seconds, and not at all of what is soon done")
    void everyFiveSeconds() {
        StringWriter err = new StringWriter();
        AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 1_000_000_000);
        ProgressLines progress = new ProgressLines(new PrintWriter(err), nanos::get);

        read(progress, 10_000);
        nanos.addAndGet(Duration.ofMillis(4_999).toNanos());
        read(progress, 20_000);
        assertThat(err.toString()).isEmpty();

        nanos.addAndGet(Duration.ofMillis(1).toNanos());
        read(progress, 1_024_000);
        assertThat(err.toString()).matches("fluxtally: [\\d,]+ lines of bill.csv read\\R");
    }

    private static void read(ProgressLines progress, int lines) {
        for (int i = 1; i <= lines; i++) {
            progress.progress("bill.csv", i);
        }
    }
}
