package io.fluxtally.usage.wire;

import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.fluxtally.usage.wire.dialect.RequestHead;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;

/** Whether an event is scanned or skipped depends on how the network cuts the stream. What is booked must not. */
class SkippedEventsTest {

    /** Texts of an answer as they stand in an event, now and then with what ends a line or an event. */
    private static final Arbitrary<String> TEXTS = often(
            Arbitraries.of("", "a", "rain of the forecast", "上海", "\\n", "\\\"", "\\\\", "usage", "0"),
            Arbitraries.of(
                    "\n",
                    "two\n\nlines or more",
                    "\n\n",
                    "\r\n\r\n",
                    "\r",
                    "\t",
                    "\"}]}\n\n",
                    "\\",
                    "\ndata: ",
                    "\n\ndata: {\"usage\":"));

    /** What stands before an event's data and behind it. */
    private record Framing(String before, String behind) {}

    private static final Arbitrary<Framing> FRAMINGS = often(
            Arbitraries.of(
                    new Framing("data: ", "\n\n"), new Framing("id:7\nevent:result\n:HTTP_STATUS/200\ndata:", "\n\n")),
            Arbitraries.of(
                    new Framing("data:  ", "\n\n"),
                    new Framing("data: ", "\r\n\r\n"),
                    new Framing("data: ", "\n"),
                    new Framing("data:\ndata: ", "\n\n"),
                    new Framing("data: ", "\ndata:\n\n"),
                    new Framing("data: ", "\nid: 1\n\n"),
                    new Framing("data: ", ""),
                    new Framing("dat: ", "\n\n"),
                    new Framing("\n", "\n\n")));

    private static <T> Arbitrary<T> often(Arbitrary<T> usual, Arbitrary<T> seldom) {
        return Arbitraries.frequencyOf(Tuple.of(15, usual), Tuple.of(1, seldom));
    }

    @Provide
    Arbitrary<String> openAiStreams() {
        Arbitrary<String> usages = often(Arbitraries.just("null"), Arbitraries.of(promptTokens(26, 3), "{}"));
        Arbitrary<String> events = Arbitraries.frequencyOf(
                Tuple.of(20, Combinators.combine(TEXTS, usages).as(Frames::openAi)),
                Tuple.of(1, Arbitraries.of(openAiFinish("null"), openAiUsageOnly(promptTokens(26, 8)), "[DONE]", "{")));
        return streams(events);
    }

    @Provide
    Arbitrary<String> dashScopeStreams() {
        Arbitrary<String> finish = often(Arbitraries.just("null"), Arbitraries.just("stop"));
        Arbitrary<String> usages = often(
                Arbitraries.integers().between(0, 2000).map(output -> tokens(26, output)),
                Arbitraries.of("null", "{}"));
        return streams(Combinators.combine(TEXTS, finish, usages).as(Frames::dashScope));
    }

    private static Arbitrary<String> streams(Arbitrary<String> events) {
        return Combinators.combine(events, FRAMINGS)
                .as((event, framing) -> framing.before + event + framing.behind)
                .list()
                .ofMaxSize(12)
                .map(all -> String.join("", all));
    }

    @Property(tries = 3000)
    @Label("what is booked of OpenAI's events does not depend on where the stream is cut")
    void openAi(@ForAll("openAiStreams") String stream, @ForAll TapUnderTest.Ending ending) {
        sameOfAnyPieces(TapUnderTest.post(TapUnderTest.OPENAI_PATH), stream, ending);
    }

    @Property(tries = 3000)
    @Label("what is booked of DashScope's frames does not depend on where the stream is cut")
    void dashScope(@ForAll("dashScopeStreams") String stream, @ForAll TapUnderTest.Ending ending) {
        sameOfAnyPieces(TapUnderTest.post(TapUnderTest.DASHSCOPE_PATH), stream, ending);
    }

    private static void sameOfAnyPieces(RequestHead head, String stream, TapUnderTest.Ending ending) {
        byte[] bytes = stream.getBytes(UTF_8);
        TapUnderTest skipping = TapUnderTest.create();
        TapUnderTest scanning = TapUnderTest.create();
        skipping.feed(head, null, 200, TapUnderTest.EVENTS, List.of(bytes), ending);
        // No event is ever there as a whole.
        scanning.feed(
                head,
                null,
                200,
                TapUnderTest.EVENTS,
                IntStream.range(0, bytes.length)
                        .mapToObj(i -> new byte[] {bytes[i]})
                        .toList(),
                ending);

        skipping.assertBookedAs(scanning);
    }
}
