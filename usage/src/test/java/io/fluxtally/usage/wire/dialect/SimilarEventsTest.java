package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.wire.TapUnderTest;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SimilarEventsTest {

    private static boolean similar(String one, String other) {
        byte[] first = one.getBytes(ISO_8859_1);
        byte[] second = other.getBytes(ISO_8859_1);
        return SimilarEvents.skipDifferingInTextAndTokens(first, first.length, second, 0, second.length)
                == second.length;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '\0',
            value = {
                "{\"content\":\"a\",\"x_tokens\":1}|{\"content\":\"a\",\"x_tokens\":1}",
                "{\"content\":\"a\",\"x_tokens\":9}|{\"content\":\"bcd\",\"x_tokens\":10}",
                "{\"content\":\"\",\"x_tokens\":26,\"y_tokens\":1}|{\"content\":\"x\",\"x_tokens\":261,\"y_tokens\":2}",
                "{\"text\":\"forecast\"}|{\"text\":\"foam\"}",
                "{\"reasoning_content\":\"\",\"content\":\"a\"}|{\"reasoning_content\":\"b\",\"content\":\"\"}",
                "{\"content\":\"\u00e4\u00b8\u008a\"}|{\"content\":\"\u00e6\u00b5\u00b7x\"}"
            })
    @DisplayName("events that differ in their text and their tokens only are similar")
    void similarEvents(String one, String other) {
        assertThat(similar(one, other)).isTrue();
        assertThat(similar(other, one)).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '\0',
            value = {
                "{\"x_tokens\":1}|{\"x_tokens\":null}",
                "{\"x_tokens\":1}|{\"x_tokens\":-1}",
                "{\"x_tokens\":1}|{\"x_tokens\":1.5}",
                "{\"x_tokens\":1}|{\"x_tokens\":1e5}",
                "{\"x_tokens\":1}|{\"x_tokens\":007}",
                "{\"x_tokens\":1}|{\"x_tokens\":1234567890123456789}",
                "{\"x_tokens\": 1}|{\"x_tokens\": 2}",
                "{\"x_tokens\":1}|{\"y_tokens\":1}",
                "{\"x_tokens\":1}|{\"x_tokens\":1,\"y_tokens\":1}",
                "{\"x_tokens\":1}|{\"x_tokens\":1}x",
                "{\"index\":1}|{\"index\":2}",
                "{\"id\":\"a\"}|{\"id\":\"b\"}",
                "{\"finish_reason\":\"null\"}|{\"finish_reason\":\"stop\"}",
                "{\"content\":\"a\"}|{\"content\":null}",
                "{\"content\":\"a\"}|{\"content\":[]}",
                "{\"content\":\"a\"}|{\"content\":\"a\\\\\"}",
                "{\"content\":\"a\"}|{\"content\":\"\\n\"}",
                "{\"content\":\"a\"}|{\"content\":\"\u00e4\"}",
                "{\"content\":\"a\"}|{\"content\":\"\u0001\"}",
                "{\"content\":\"a\"}|{\"content\":\"b",
                "{\"content\":\"a\",\"b\":1}|{\"content\":\"a\",\"c\":1}",
                "{\"x\":[\"content\",\"a\"]}|{\"x\":[\"content\",\"b\"]}",
                "{\"x\":\"\\\"content\\\":\\\"a\"}|{\"x\":\"\\\"content\\\":\\\"b\"}"
            })
    @DisplayName("events that differ in anything else are not, nor where a difference is not plain")
    void notSimilar(String one, String other) {
        assertThat(similar(one, other)).isFalse();
    }

    /** What frames are made of, most of it seldom, so that many a frame supersedes the one before it. */
    @Provide
    Arbitrary<List<String>> frames() {
        Arbitrary<String> text = Arbitraries.of("", "a", "bc", "上海", "\\n", "\\\"", "\\q", "\t", "\n", "\n\n");
        Arbitrary<String> finish = often("\"null\"", "\"stop\"", "null");
        Arbitrary<String> choice = often("", ",\"index\":1", ",\"index\":0");
        Arbitrary<String> tokens = Arbitraries.frequencyOf(
                Tuple.of(30, Arbitraries.integers().between(0, 2000).map(String::valueOf)),
                Tuple.of(1, Arbitraries.of("-1", "null", "1.5", "01", "12345678901234567890", "\"7\"")));
        Arbitrary<String> more = often("", ",\"prompt_tokens_details\":{\"cached_tokens\":7}", ",\"total_tokens\":9");
        Arbitrary<String> frame = Combinators.combine(text, finish, choice, tokens, tokens, more, often("R1", "R2", ""))
                .as((content, reason, index, input, output, other, id) ->
                        "\"output\":{\"choices\":[{\"message\":{\"content\":\"%s\"}%s,\"finish_reason\":%s}]},\"usage\":{\"input_tokens\":%s,\"output_tokens\":%s%s},\"request_id\":\"%s\"}"
                                .formatted(content, index, reason, input, output, other, id));
        return frame.list().ofMinSize(1).ofMaxSize(12);
    }

    private static Arbitrary<String> often(String usual, String... seldom) {
        return Arbitraries.frequencyOf(Tuple.of(12, Arbitraries.just(usual)), Tuple.of(1, Arbitraries.of(seldom)));
    }

    @Property(tries = 2000)
    @Label("what is booked of DashScope's frames is what it would be if each were read")
    void sameFigures(@ForAll("frames") List<String> frames, @ForAll TapUnderTest.Ending ending) {
        List<String> compact = new ArrayList<>();
        List<String> blanks = new ArrayList<>();
        for (String frame : frames) {
            compact.add('{' + frame);
            // No two in a row that begin alike.
            blanks.add((blanks.size() % 2 == 0 ? "{" : "{ ") + frame);
        }
        TapUnderTest skipping = TapUnderTest.create();
        TapUnderTest reading = TapUnderTest.create();
        skipping.feed(post(DASHSCOPE_PATH), 200, EVENTS, dashScopeEvents(compact.toArray(String[]::new)), ending);
        reading.feed(post(DASHSCOPE_PATH), 200, EVENTS, dashScopeEvents(blanks.toArray(String[]::new)), ending);

        skipping.assertBookedAs(reading);
    }
}
