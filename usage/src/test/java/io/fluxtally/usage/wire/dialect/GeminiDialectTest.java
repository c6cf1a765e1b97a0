package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.RequestOutcome.TRUNCATED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.CANCEL;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.COMPLETE;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.TapUnderTest;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class GeminiDialectTest {

    private static final String STREAM_PATH = "/v1beta/models/gemini-x:streamGenerateContent";
    private static final String CALL_PATH = "/v1beta/models/gemini-x:generateContent";
    private static final String QUOTA =
            "{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}";

    private static final String TOOLS_AND_THOUGHTS = """
            {"promptTokenCount":12,"candidatesTokenCount":71,"totalTokenCount":237,"toolUsePromptTokenCount":65,"thoughtsTokenCount":89,"promptTokensDetails":[{"modality":"TEXT","tokenCount":12}],"toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":65}]}""";

    private final Endpoint gemini = new Endpoint("gemini", STREAM_PATH, TapUnderTest.EVENTS);
    private final Endpoint arrays = new Endpoint("gemini", STREAM_PATH, TapUnderTest.JSON);
    private final Endpoint calls = gemini.movedTo(CALL_PATH);

    private static String chunk(int candidate, String finish, String usage) {
        return """
                {"candidates":[{"content":{"parts":[{"text":"晴"}],"role":"model"},"index":%d%s}],"usageMetadata":%s,"modelVersion":"gemini-x-001","responseId":"resp-g1"}""".formatted(candidate, finish.isEmpty() ? "" : ",\"finishReason\":\"" + finish + "\"", usage);
    }

    private static String chunk(String finish, String usage) {
        return chunk(0, finish, usage);
    }

    private static String tokens(long prompt, long candidates, long thoughts) {
        return """
                {"promptTokenCount":%d,"candidatesTokenCount":%d,"totalTokenCount":%d,"thoughtsTokenCount":%d}""".formatted(prompt, candidates, prompt + candidates + thoughts, thoughts);
    }

    private static TokenUsage usage(long input, long output, long thoughts) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.REASONING_OUTPUT, thoughts)
                .build();
    }

    private static String plain() {
        return events(chunk("", tokens(9, 2, 185)), chunk("", tokens(9, 4, 185)), chunk("STOP", tokens(9, 5, 185)));
    }

    @Test
    @DisplayName("T1, T13: of the running totals on every chunk the last counts, thoughts added to the output")
    void plainStream() {
        RequestUsage request = gemini.stream(plain(), COMPLETE);

        gemini.assertBooked(request, COMPLETED, REPORTED, usage(9, 190, 185));
        assertThat(request.usage().totalTokens()).isEqualTo(199);
        assertThat(request.responseId()).isEqualTo("resp-g1");
        assertThat(request.responseModel()).isEqualTo("gemini-x-001");
    }

    @Test
    @DisplayName("T13: what tools put into the prompt is added to it: 12 + 65, 71 + 89, in all 237")
    void toolsAndThoughts() {
        TokenUsage expected = usage(12 + 65, 71 + 89, 89);

        assertThat(expected.totalTokens()).isEqualTo(237);
        calls.assertBooked(calls.call(chunk("STOP", TOOLS_AND_THOUGHTS)), COMPLETED, REPORTED, expected);
        gemini.assertBooked(
                gemini.stream(events(chunk("", tokens(12, 3, 0)), chunk("STOP", TOOLS_AND_THOUGHTS)), COMPLETE),
                COMPLETED,
                REPORTED,
                expected);
    }

    @Test
    @DisplayName("T13: cached tokens are inside the prompt")
    void cached() {
        calls.assertBooked(
                calls.call(chunk("STOP", """
                        {"promptTokenCount":5000,"candidatesTokenCount":7,"totalTokenCount":5007,"cachedContentTokenCount":4096,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":4096}]}""")),
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(5000)
                        .outputTokens(7)
                        .part(TokenPart.CACHE_READ_INPUT, 4096)
                        .build());
    }

    @ParameterizedTest
    @DisplayName("T7: the running total of a stream that is cut is partial")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cut(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request =
                gemini.stream(events(chunk("", tokens(9, 2, 185)), chunk("", tokens(9, 4, 185))), ending);

        gemini.assertBooked(request, outcome, PARTIAL, usage(9, 189, 185));
    }

    @ParameterizedTest
    @CsvSource({"COMPLETE", "RESET", "CANCEL"})
    void leavingAfterTheEnd(TapUnderTest.Ending ending) {
        gemini.assertBooked(gemini.stream(plain(), ending), COMPLETED, REPORTED, usage(9, 190, 185));
    }

    @Test
    void withTwoCandidatesOneThatFinishedIsNotEnough() {
        String cut =
                events(chunk(0, "", tokens(9, 2, 0)), chunk(1, "", tokens(9, 4, 0)), chunk(0, "STOP", tokens(9, 5, 0)));

        gemini.assertBooked(gemini.stream(cut, CANCEL), CANCELLED, PARTIAL, usage(9, 5, 0));
        gemini.assertBooked(
                gemini.stream(cut + events(chunk(1, "MAX_TOKENS", tokens(9, 8, 0))), CANCEL),
                COMPLETED,
                REPORTED,
                usage(9, 8, 0));
    }

    @Test
    void usageAfterTheChunkThatFinishes() {
        String late = "{\"usageMetadata\":%s,\"responseId\":\"resp-g1\"}".formatted(tokens(9, 6, 0));

        gemini.assertBooked(
                gemini.stream(events(chunk("STOP", tokens(9, 5, 0)), late), COMPLETE),
                COMPLETED,
                REPORTED,
                usage(9, 6, 0));
    }

    private static String array(String... chunks) {
        return "[" + String.join("\n,\r\n", chunks) + "\n]\n";
    }

    @Test
    @DisplayName("T1: a stream without alt=sse is one JSON array, whose elements are its chunks")
    void streamAsAnArray() {
        String stream =
                array(chunk("", tokens(9, 2, 185)), chunk("", tokens(9, 4, 185)), chunk("STOP", tokens(9, 5, 185)));

        RequestUsage request = arrays.stream(stream, COMPLETE);

        arrays.assertBooked(request, COMPLETED, REPORTED, usage(9, 190, 185));
        assertThat(request.responseId()).isEqualTo("resp-g1");
        arrays.assertNoCutMatters(true, stream);
        arrays.assertNoPrefixIsBookedAsMore(stream);
    }

    @ParameterizedTest
    @DisplayName("T7: the running total of an array that is cut, or closed without a finish, is partial")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void anArrayThatIsCut(TapUnderTest.Ending ending, RequestOutcome outcome) {
        String closed = array(chunk("", tokens(9, 2, 185)), chunk("", tokens(9, 4, 185)));
        String open = closed.substring(0, closed.length() - 2);
        String finish = chunk("STOP", tokens(9, 5, 185));
        String within = open + "," + finish.substring(0, finish.indexOf("finishReason"));

        for (String stream : new String[] {closed, open, within}) {
            arrays.assertBooked(arrays.stream(stream, ending), outcome, PARTIAL, usage(9, 189, 185));
        }
    }

    @Test
    @DisplayName("T7: an error as the last element of an array fails the request")
    void errorInTheArray() {
        arrays.assertBooked(
                arrays.stream(array(chunk("", tokens(9, 2, 0)), QUOTA), COMPLETE), FAILED, PARTIAL, usage(9, 2, 0));
        arrays.assertBooked(arrays.stream(array(QUOTA), COMPLETE), FAILED, MISSING, null);
        arrays.assertBooked(arrays.stream("[]", COMPLETE), TRUNCATED, MISSING, null);
    }

    @Test
    @DisplayName("a prompt that is refused is billed for its input; there is no output")
    void blockedPrompt() {
        String blocked = """
                {"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-x-001","responseId":"resp-g2"}""";

        calls.assertBooked(calls.call(blocked), COMPLETED, REPORTED, TokenUsage.of(9, 0));
        gemini.assertBooked(gemini.stream(events(blocked), COMPLETE), COMPLETED, REPORTED, TokenUsage.of(9, 0));
        gemini.assertBooked(
                gemini.stream(events("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}"), COMPLETE),
                COMPLETED,
                MISSING,
                null);
    }

    @Test
    @DisplayName("a count of zero is left out of the JSON; the total tells that it is not merely unknown")
    void anAnswerWithoutCandidateTokens() {
        calls.assertBooked(
                calls.call(chunk("STOP", "{\"promptTokenCount\":9,\"totalTokenCount\":9}")),
                COMPLETED,
                REPORTED,
                TokenUsage.of(9, 0));
        calls.assertBooked(calls.call(chunk("MAX_TOKENS", """
                        {"promptTokenCount":9,"totalTokenCount":109,"thoughtsTokenCount":100}""")), COMPLETED, REPORTED, usage(9, 100, 100));
    }

    @Test
    void withoutTheCandidatesAndATotalThatSaysSoTheFigureIsALowerBound() {
        assertThat(calls.call(chunk("STOP", "{\"promptTokenCount\":9}")).source())
                .isEqualTo(PARTIAL);
        assertThat(calls.call(chunk("STOP", "{\"promptTokenCount\":9,\"totalTokenCount\":20}"))
                        .source())
                .isEqualTo(PARTIAL);
    }

    @Test
    void noUsage() {
        gemini.assertBooked(
                gemini.stream(events(chunk("", "{}"), chunk("STOP", "null")), COMPLETE), COMPLETED, MISSING, null);
        calls.assertBooked(calls.call(chunk("STOP", "null")), COMPLETED, MISSING, null);
    }

    @Test
    @DisplayName("T7: an error inside the stream fails the request")
    void errorInTheStream() {
        gemini.assertBooked(
                gemini.stream(events(chunk("", tokens(9, 2, 0)), QUOTA), COMPLETE), FAILED, PARTIAL, usage(9, 2, 0));
        gemini.assertBooked(gemini.stream(events(QUOTA), COMPLETE), FAILED, MISSING, null);
    }

    @Test
    void anErrorStatusIsRefused() {
        calls.assertBooked(calls.call(429, QUOTA), REJECTED, REPORTED, TokenUsage.ZERO);
    }

    @Test
    @DisplayName("T23: the responses name no type, so at a foreign path they are none")
    void foreignPath() {
        for (String path : new String[] {"/llm/ask", "/v1beta/models/gemini-x:countTokens", "/v1/chat/completions/x"}) {
            Endpoint elsewhere = gemini.movedTo(path);

            elsewhere.assertNotBooked(true, plain());
            elsewhere.assertNotBooked(false, chunk("STOP", tokens(9, 5, 0)));
        }
    }

    @Test
    void noCutMatters() {
        gemini.assertNoCutMatters(true, plain());
        gemini.assertNoCutMatters(true, plain().replace("\n", "\r\n"));
        calls.assertNoCutMatters(false, chunk("STOP", TOOLS_AND_THOUGHTS));
    }

    @Test
    void noPrefixIsBookedAsMore() {
        gemini.assertNoPrefixIsBookedAsMore(plain());
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#none")
    void aJunkFigureIsNone(String junk) {
        String usage = """
                {"promptTokenCount":12,"candidatesTokenCount":30,"thoughtsTokenCount":%1$s,"toolUsePromptTokenCount":%1$s,"cachedContentTokenCount":%1$s,"totalTokenCount":%1$s}""".formatted(junk);

        RequestUsage request = gemini.stream(events(chunk("", tokens(12, 1, 0)), chunk("STOP", usage)), COMPLETE);

        assertThat(request.usage().inputTokens()).isEqualTo(12);
        assertThat(request.usage().cacheReadInputTokens()).isEmpty();
        assertThat(calls.call(chunk("STOP", usage)).outcome()).isEqualTo(COMPLETED);
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#huge")
    void hugeFiguresDoNotWrap(String huge) {
        String usage = """
                {"promptTokenCount":%1$s,"candidatesTokenCount":%1$s,"thoughtsTokenCount":%1$s,"toolUsePromptTokenCount":%1$s}""".formatted(huge);

        RequestUsage request = calls.call(chunk("STOP", usage));

        assertThat(request.usage().inputTokens()).isEqualTo(Long.MAX_VALUE);
        assertThat(request.usage().outputTokens()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    @DisplayName("the figures are there as reported: what tools put in and what was thought apart, and each modality")
    void asReported() {
        Map<String, Long> expected = Map.of(
                "usageMetadata.promptTokenCount", 12L,
                "usageMetadata.candidatesTokenCount", 71L,
                "usageMetadata.toolUsePromptTokenCount", 65L,
                "usageMetadata.thoughtsTokenCount", 89L,
                "usageMetadata.totalTokenCount", 237L,
                "usageMetadata.promptTokensDetails[0].tokenCount", 12L,
                "usageMetadata.toolUsePromptTokensDetails[0].tokenCount", 65L);

        assertThat(calls.call(chunk("STOP", TOOLS_AND_THOUGHTS)).reported()).isEqualTo(expected);
        assertThat(gemini.stream(events(chunk("STOP", TOOLS_AND_THOUGHTS)), COMPLETE)
                        .reported())
                .isEqualTo(expected);
        String array = array(chunk("", tokens(12, 3, 1)), chunk("STOP", TOOLS_AND_THOUGHTS));
        assertThat(arrays.stream(array, COMPLETE).reported()).isEqualTo(expected);
    }
}
