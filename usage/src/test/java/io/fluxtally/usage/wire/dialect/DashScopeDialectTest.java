package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.CANCEL;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.COMPLETE;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.wire.TapUnderTest;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DashScopeDialectTest {

    private final TapUnderTest tap = TapUnderTest.create();

    private static void assertBooked(
            RequestUsage request, RequestOutcome outcome, UsageSource source, @Nullable TokenUsage usage) {
        assertThat(request.provider()).isEqualTo("dashscope");
        assertThat(request.usage()).isEqualTo(usage);
        assertThat(request.source()).isEqualTo(source);
        assertThat(request.outcome()).isEqualTo(outcome);
    }

    @Test
    @DisplayName("T1, T4: of the running totals on every frame the last counts")
    void plainStream() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(
                        dashScope("a", "null", tokens(26, 1)),
                        dashScope("b", "null", tokens(26, 5)),
                        dashScope("", "stop", tokens(26, 8))),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(26, 8));
        assertThat(request.responseId()).isEqualTo("R1");
        assertThat(request.responseModel()).isNull();
    }

    @Test
    @DisplayName("T13: reasoning is inside the output, cached tokens inside the input")
    void thinkingStream() {
        RequestUsage request = tap.dashScopeStream(dashScopeEvents("""
                        {"output":{"choices":[{"message":{"content":"","reasoning_content":"hm","role":"assistant"},"index":0,"finish_reason":"null"}]},"usage":{"total_tokens":21,"input_tokens":18,"output_tokens":3,"output_tokens_details":{"reasoning_tokens":3},"prompt_tokens_details":{"cached_tokens":0}},"request_id":"R1"}""", """
                        {"output":{"choices":[{"message":{"content":"4","reasoning_content":"","role":"assistant"},"index":0,"finish_reason":"stop"}]},"usage":{"total_tokens":118,"input_tokens":18,"output_tokens":100,"output_tokens_details":{"reasoning_tokens":84},"prompt_tokens_details":{"cached_tokens":16}},"request_id":"R1"}"""), COMPLETE);

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(18)
                        .outputTokens(100)
                        .part(TokenPart.REASONING_OUTPUT, 84)
                        .part(TokenPart.CACHE_READ_INPUT, 16)
                        .build());
    }

    @Test
    void toolCallStream() {
        RequestUsage request = tap.dashScopeStream(dashScopeEvents("""
                        {"output":{"choices":[{"message":{"content":"","tool_calls":[{"index":0,"id":"call_x","type":"function","function":{"name":"f","arguments":"{\\"usage\\":"}}],"role":"assistant"},"index":0,"finish_reason":"null"}]},"usage":{"input_tokens":204,"output_tokens":16,"total_tokens":220,"prompt_tokens_details":{"cached_tokens":0}},"request_id":"R"}""", """
                        {"output":{"choices":[{"message":{"content":"","tool_calls":[{"index":1,"id":"","type":"function","function":{"arguments":"1}"}}],"role":"assistant"},"index":0,"finish_reason":"tool_calls"}]},"usage":{"input_tokens":204,"output_tokens":20,"total_tokens":224,"prompt_tokens_details":{"cached_tokens":0}},"request_id":"R"}"""), COMPLETE);

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(204)
                        .outputTokens(20)
                        .part(TokenPart.CACHE_READ_INPUT, 0)
                        .build());
    }

    @Test
    @DisplayName("T14: an empty usage object on the first frame is no figure")
    void emptyUsage() {
        RequestUsage request =
                tap.dashScopeStream(dashScopeEvents("""
                        {"output":{"choices":[],"search_info":{"search_results":[{"url":"http://x","index":1}]}},"usage":{},"request_id":"R1"}""", dashScope("a", "stop", tokens(2940, 3))), COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(2940, 3));
    }

    @Test
    @DisplayName("T14: a stream with nothing but empty usage is missing, not zero")
    void onlyEmptyUsage() {
        RequestUsage request = tap.dashScopeStream(dashScopeEvents(dashScope("a", "stop", "{}")), COMPLETE);

        assertBooked(request, COMPLETED, MISSING, null);
    }

    @Test
    void usageOnlyLastFrame() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(
                        dashScope("a", "null", tokens(200, 21)),
                        dashScope("", "tool_calls", tokens(200, 22)),
                        "{\"output\":{\"choices\":[]},\"usage\":" + tokens(200, 23) + ",\"request_id\":\"R1\"}"),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(200, 23));
    }

    @Test
    void usageBeforeTheOutput() {
        RequestUsage request = tap.dashScopeStream(dashScopeEvents("""
                        {"request_id":"R1","usage":{"output_tokens":7,"input_tokens":3,"total_tokens":10},"output":{"choices":[{"finish_reason":"stop","index":0}]}}"""), COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(3, 7));
    }

    @Test
    @DisplayName("T1: with n = 2 the output is the sum of the last frames by choice, the input counts once")
    void twoChoices() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(
                        dashScope(0, "a", "null", tokens(100, 10)),
                        dashScope(1, "b", "null", tokens(100, 12)),
                        dashScope(0, "", "stop", tokens(100, 30)),
                        dashScope(1, "c", "null", tokens(100, 20)),
                        dashScope(1, "", "stop", tokens(100, 31))),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(100, 61));
    }

    @Test
    void twoChoicesKeepTheirPartsAndOneOfThemIsNotEnoughToFinish() {
        String first = """
                {"output":{"choices":[{"index":%d,"finish_reason":"%s"}]},"usage":{"input_tokens":100,"output_tokens":%d,"total_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"prompt_tokens_details":{"cached_tokens":64}},"request_id":"R1"}""";
        String both = dashScopeEvents(
                first.formatted(0, "null", 10, 110, 2),
                first.formatted(1, "null", 11, 111, 3),
                first.formatted(0, "stop", 30, 130, 4));

        assertBooked(
                tap.dashScopeStream(both, CANCEL),
                CANCELLED,
                PARTIAL,
                TokenUsage.builder()
                        .inputTokens(100)
                        .outputTokens(41)
                        .part(TokenPart.REASONING_OUTPUT, 7)
                        .part(TokenPart.CACHE_READ_INPUT, 64)
                        .build());
    }

    @Test
    void twoChoicesInACallAreOneFigure() {
        RequestUsage request = tap.dashScopeCall("""
                {"output":{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"stop"}]},"usage":{"input_tokens":100,"output_tokens":61,"total_tokens":161},"request_id":"R1"}""");

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(100, 61));
    }

    @Test
    @DisplayName("T14: speech recognition reports details only; they are the figure")
    void detailsOnly() {
        RequestUsage request = tap.dashScopeCall("""
                {"output":{"choices":[{"finish_reason":"stop","message":{"content":[{"text":"hi"}],"role":"assistant"}}]},"usage":{"output_tokens_details":{"text_tokens":6},"input_tokens_details":{"text_tokens":16},"seconds":1},"request_id":"R1"}""");

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(16)
                        .outputTokens(6)
                        .part(TokenPart.TEXT_INPUT, 16)
                        .part(TokenPart.TEXT_OUTPUT, 6)
                        .build());
    }

    @Test
    @DisplayName("T14: speech synthesis reports characters only; its tokens are missing, not zero")
    void charactersOnly() {
        RequestUsage request = tap.dashScopeCall("""
                {"output":{"audio":{"url":"http://x/a.wav"},"finish_reason":"stop"},"usage":{"characters":53},"request_id":"R1"}""");

        assertBooked(request, COMPLETED, MISSING, null);
        assertThat(request.responseId()).isEqualTo("R1");
    }

    @Test
    void multimodalParts() {
        RequestUsage request = tap.dashScopeCall("""
                {"output":{"choices":[{"finish_reason":"stop"}]},"usage":{"input_tokens":1270,"output_tokens":120,"total_tokens":1390,"image_tokens":1,"input_tokens_details":{"text_tokens":20,"image_tokens":1000,"audio_tokens":50,"video_tokens":200},"output_tokens_details":{"text_tokens":90,"reasoning_tokens":30}},"request_id":"R1"}""");

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(1270)
                        .outputTokens(120)
                        .part(TokenPart.TEXT_INPUT, 20)
                        .part(TokenPart.IMAGE_INPUT, 1000)
                        .part(TokenPart.AUDIO_INPUT, 50)
                        .part(TokenPart.VIDEO_INPUT, 200)
                        .part(TokenPart.TEXT_OUTPUT, 90)
                        .part(TokenPart.REASONING_OUTPUT, 30)
                        .build());
    }

    @Test
    void olderFieldsCountWhereTheNewerOnesAreNotThere() {
        RequestUsage request = tap.dashScopeCall("""
                {"output":{"text":"a","finish_reason":"stop"},"usage":{"cached_tokens":7,"image_tokens":5,"audio_tokens":2,"video_tokens":1,"input_tokens":20,"output_tokens":3},"request_id":"R1"}""");

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(20)
                        .outputTokens(3)
                        .part(TokenPart.CACHE_READ_INPUT, 7)
                        .part(TokenPart.IMAGE_INPUT, 5)
                        .part(TokenPart.AUDIO_INPUT, 2)
                        .part(TokenPart.VIDEO_INPUT, 1)
                        .build());
    }

    @ParameterizedTest
    @CsvSource({"before", "after"})
    void newerFieldsWinOverOlderOnesInAnyOrder(String older) {
        String old = "\"cached_tokens\":7";
        String details = "\"prompt_tokens_details\":{\"cached_tokens\":9}";
        RequestUsage request = tap.dashScopeCall(
                """
                {"output":{"text":"a","finish_reason":"stop"},"usage":{"input_tokens":20,"output_tokens":3,%s,%s}}""".formatted(older.equals("before") ? old : details, older.equals("before") ? details : old));

        assertThat(request.usage().cacheReadInputTokens()).hasValue(9);
    }

    @Test
    void ephemeralCacheWritesAreTheCacheCreationUnlessItIsSaid() {
        String body = """
                {"output":{"choices":[{"finish_reason":"stop"}]},"usage":{"input_tokens":3100,"output_tokens":3,"prompt_tokens_details":{%s"cached_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":3000,"ephemeral_1h_input_tokens":57},"cache_type":"ephemeral"}}}""";

        assertThat(tap.dashScopeCall(body.formatted("")).usage().cacheCreationInputTokens())
                .hasValue(3057);
        assertThat(tap.dashScopeCall(body.formatted("\"cache_creation_input_tokens\":3056,"))
                        .usage()
                        .cacheCreationInputTokens())
                .hasValue(3056);
    }

    @Test
    @DisplayName("T7: an error frame fails the request and keeps the figure so far")
    void errorFrame() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(dashScope("a", "null", tokens(26, 5)))
                        + "id:2\nevent:error\n:HTTP_STATUS/500\ndata:{\"code\":\"InternalError\",\"message\":\"no\",\"request_id\":\"R1\"}\n\n",
                COMPLETE);

        assertBooked(request, FAILED, PARTIAL, TokenUsage.of(26, 5));
    }

    @Test
    @DisplayName("T7: an error frame and nothing else fails the request")
    void errorFrameAlone() {
        RequestUsage request = tap.dashScopeStream(
                "event:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling\",\"message\":\"no\",\"request_id\":\"R9\"}\n\n",
                COMPLETE);

        assertBooked(request, FAILED, MISSING, null);
        assertThat(request.responseId()).isEqualTo("R9");
    }

    @ParameterizedTest
    @CsvSource({"'\"\"'", "null"})
    void anEmptyCodeIsNoError(String code) {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents("{\"code\":" + code
                        + ",\"message\":\"\",\"output\":{\"choices\":[{\"finish_reason\":\"stop\"}]},\"usage\":"
                        + tokens(1, 2) + "}"),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    void aMissingRequestIdIsNone() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents("{\"output\":{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]},\"usage\":"
                        + tokens(1, 2) + "}"),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(1, 2));
        assertThat(request.responseId()).isNull();
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut keeps its running figure, graded partial")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutStream(TapUnderTest.Ending ending, RequestOutcome outcome) {
        String cut = dashScopeEvents(dashScope("a", "null", tokens(26, 1)), dashScope("b", "null", tokens(26, 5)));

        assertBooked(tap.dashScopeStream(cut, ending), outcome, PARTIAL, TokenUsage.of(26, 5));
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut before any frame is missing")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutBeforeAnyFrame(TapUnderTest.Ending ending, RequestOutcome outcome) {
        assertBooked(tap.dashScopeStream(": keep-alive\n\n", ending), outcome, MISSING, null);
    }

    @ParameterizedTest
    @DisplayName("T7: a frame that is cut in the middle of a number does not count")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutInANumber(TapUnderTest.Ending ending, RequestOutcome outcome) {
        String whole = dashScopeEvents(dashScope("a", "null", tokens(26, 1)), dashScope("b", "null", tokens(26, 555)));
        String cut = whole.substring(0, whole.lastIndexOf("55"));

        assertBooked(tap.dashScopeStream(cut, ending), outcome, PARTIAL, TokenUsage.of(26, 1));
    }

    @ParameterizedTest
    @CsvSource({"COMPLETE", "RESET", "CANCEL"})
    void aStreamThatFinishedIsCompletedHoweverTheClientLeaves(TapUnderTest.Ending ending) {
        String stream = dashScopeEvents(dashScope("a", "null", tokens(26, 1)), dashScope("b", "stop", tokens(26, 5)));

        assertBooked(tap.dashScopeStream(stream, ending), COMPLETED, REPORTED, TokenUsage.of(26, 5));
    }

    @Test
    void aFigureOnTheFramesBeforeTheFinishIsPartial() {
        String stream = dashScopeEvents(dashScope("a", "null", tokens(26, 1)), dashScope("b", "stop", "{}"));

        assertBooked(tap.dashScopeStream(stream, COMPLETE), COMPLETED, PARTIAL, TokenUsage.of(26, 1));
    }

    @Test
    void callWithChoices() {
        assertBooked(
                tap.dashScopeCall(dashScope("a", "stop", tokens(100, 8))), COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @Test
    void callWithText() {
        RequestUsage request = tap.dashScopeCall("{\"output\":{\"finish_reason\":\"stop\",\"text\":\"a\"},\"usage\":"
                + tokens(100, 8) + ",\"request_id\":\"R1\"}");

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @Test
    void streamOfText() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(
                        "{\"output\":{\"finish_reason\":\"null\",\"text\":\"a\"},\"usage\":" + tokens(100, 4) + "}",
                        "{\"output\":{\"finish_reason\":\"stop\",\"text\":\"ab\"},\"usage\":" + tokens(100, 8) + "}"),
                CANCEL);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(100, 8));
    }

    @Test
    void callWithoutOutputIsBilledAllTheSame() {
        assertBooked(
                tap.dashScopeCall("{\"output\":null,\"usage\":" + tokens(100, 8) + ",\"request_id\":\"R1\"}"),
                COMPLETED,
                REPORTED,
                TokenUsage.of(100, 8));
    }

    @Test
    void aTotalBeyondItsPartsIsKept() {
        assertThat(tap.dashScopeCall(
                                "{\"output\":{},\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"total_tokens\":9}}")
                        .usage()
                        .totalTokens())
                .isEqualTo(9);
    }

    @Test
    void theHeaderForStreamsSpeaksForTheDialectOnAnyPath() {
        tap.feed(
                TapUnderTest.post("/gateway/x", "x-dashscope-sse"),
                200,
                TapUnderTest.EVENTS,
                dashScopeEvents(dashScope("a", "stop", tokens(1, 2))),
                COMPLETE);

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    @DisplayName("T7: wherever a stream is cut off, no figure is made up")
    void noPrefixIsBookedAsMore() {
        new Endpoint("dashscope", TapUnderTest.DASHSCOPE_PATH, TapUnderTest.EVENTS)
                .assertNoPrefixIsBookedAsMore(dashScopeEvents(
                        dashScope("a", "null", tokens(260, 12)),
                        dashScope("b", "null", tokens(260, 54)),
                        dashScope("", "stop", tokens(260, 80))));
    }

    @Test
    @DisplayName("the figures are there as reported, with searches, images and seconds beside the tokens")
    void asReported() {
        RequestUsage request = tap.dashScopeStream(
                dashScopeEvents(dashScope("a", "null", "{}"), dashScope("b", "stop", """
                                {"input_tokens":20,"output_tokens":3,"input_tokens_details":{"cached_tokens":7},"plugins":{"search":{"count":1,"strategy":"turbo"}},"image_count":2,"seconds":4}""")), COMPLETE);

        assertThat(request.usage().cacheReadInputTokens()).hasValue(7);
        assertThat(request.reported())
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "usage.input_tokens", 20L,
                        "usage.output_tokens", 3L,
                        "usage.input_tokens_details.cached_tokens", 7L,
                        "usage.plugins.search.count", 1L,
                        "usage.image_count", 2L,
                        "usage.seconds", 4L));
    }
}
