package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.COMPLETE;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.dialect.DashScopeDialect;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.OpenAiDialect;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ReadEventsTest {

    private static final int EVENTS = 1000;

    @Test
    @DisplayName(
            "of OpenAI's events the first is parsed, which names the response, and then those that can have usage alone")
    void openAiEvents() {
        CountingDialect dialect = new CountingDialect(new OpenAiDialect());
        List<String> all = new ArrayList<>();
        for (int i = 0; i < EVENTS; i++) {
            all.add(openAi("a", "null"));
        }
        all.add(openAiFinish("null"));
        all.add(openAiUsageOnly(promptTokens(26, 8)));
        all.add("[DONE]");

        assertThat(TapUnderTest.with(tap -> tap.dialect(dialect))
                        .openAiStream(events(all.toArray(String[]::new)), COMPLETE)
                        .usage())
                .isEqualTo(TokenUsage.of(26, 8));
        assertThat(dialect.parsed).isEqualTo(3);
        // The second, as those after it are like it, and those that are parsed later.
        assertThat(dialect.searched).isEqualTo(3);
    }

    @Test
    @DisplayName(
            "of DashScope's frames, each with the usage so far, those are parsed that differ in more than text and figures")
    void dashScopeFrames() {
        CountingDialect dialect = new CountingDialect(new DashScopeDialect());
        List<String> all = new ArrayList<>();
        for (int i = 1; i <= EVENTS; i++) {
            all.add(dashScope("text" + i, "null", tokens(26, i)));
        }
        all.add(dashScope("", "stop", tokens(26, EVENTS + 1)));

        assertThat(TapUnderTest.with(tap -> tap.dialect(dialect))
                        .dashScopeStream(dashScopeEvents(all.toArray(String[]::new)), COMPLETE)
                        .usage())
                .isEqualTo(TokenUsage.of(26, EVENTS + 1));
        // The first two, the last of those that are alike, and the one that finishes.
        assertThat(dialect.parsed).isLessThanOrEqualTo(4);
        // The second and the one that finishes.
        assertThat(dialect.searched).isEqualTo(2);
    }

    /** A dialect that counts the events that its reading is shown, and those whose bytes it is asked about one by one. */
    private static final class CountingDialect implements Dialect {

        private final Dialect dialect;
        private int parsed;
        private int searched;

        CountingDialect(Dialect dialect) {
            this.dialect = dialect;
        }

        @Override
        public String provider() {
            return dialect.provider();
        }

        @Override
        public boolean expects(RequestHead request) {
            return dialect.expects(request);
        }

        @Override
        public FieldPaths paths() {
            return dialect.paths();
        }

        @Override
        public ResponseReading newReading() {
            ResponseReading reading = dialect.newReading();
            return new ResponseReading() {

                @Override
                public boolean wants(byte[] json, int length) {
                    searched++;
                    return reading.wants(json, length);
                }

                @Override
                public int skip(byte[] bytes, int from, int to) {
                    return reading.skip(bytes, from, to);
                }

                @Override
                public int skipSuperseding(byte[] earlier, int earlierLength, byte[] bytes, int from, int to) {
                    return reading.skipSuperseding(earlier, earlierLength, bytes, from, to);
                }

                @Override
                public void beginEvent() {
                    parsed++;
                    reading.beginEvent();
                }

                @Override
                public void start(String path) throws IOException {
                    reading.start(path);
                }

                @Override
                public void end(String path) throws IOException {
                    reading.end(path);
                }

                @Override
                public void value(String path, JsonParser value) throws IOException {
                    reading.value(path, value);
                }

                @Override
                public void endEvent() {
                    reading.endEvent();
                }

                @Override
                public void done(boolean allRead) {
                    reading.done(allRead);
                }

                @Override
                public boolean recognised(boolean expected) {
                    return reading.recognised(expected);
                }

                @Override
                public boolean isFinished() {
                    return reading.isFinished();
                }

                @Override
                public boolean isUsageFinal() {
                    return reading.isUsageFinal();
                }

                @Override
                public @Nullable TokenUsage usage() {
                    return reading.usage();
                }
            };
        }
    }
}
