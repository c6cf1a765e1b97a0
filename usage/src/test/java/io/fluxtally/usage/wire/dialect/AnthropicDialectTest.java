package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.CANCEL;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.COMPLETE;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.RESET;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.TapUnderTest;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class AnthropicDialectTest {

    private static final String TEXT = """
            {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"晴 \\"usage\\":{\\"input_tokens\\":99}"}}""";
    private static final String BLOCK = """
            {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""";
    private static final String BLOCK_STOP = "{\"type\":\"content_block_stop\",\"index\":0}";
    private static final String PING = "{\"type\":\"ping\"}";
    private static final String STOP = "{\"type\":\"message_stop\"}";
    private static final String OVERLOADED =
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";

    private static final TokenUsage PLAIN = usage(12, 30, 0, 0);

    private final Endpoint anthropic = new Endpoint("anthropic", "/v1/messages", TapUnderTest.EVENTS);

    private static String start(String usage) {
        return """
                {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":%s}}""".formatted(usage);
    }

    private static String delta(String stopReason, String usage) {
        return """
                {"type":"message_delta","delta":{"stop_reason":%s,"stop_sequence":null},"usage":%s}""".formatted(stopReason, usage);
    }

    private static String tokens(long input, long output, long read, long written) {
        return """
                {"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d,"service_tier":"standard"}""".formatted(input, written, read, output);
    }

    private static TokenUsage usage(long inclusiveInput, long output, long read, long written) {
        return TokenUsage.builder()
                .inputTokens(inclusiveInput)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, read)
                .part(TokenPart.CACHE_CREATION_INPUT, written)
                .build();
    }

    /** Events with their names, as this provider writes them. */
    private static String events(String... documents) {
        return Arrays.stream(documents)
                .map(json -> "event: %s\ndata: %s\n\n".formatted(json.split("\"")[3], json))
                .collect(Collectors.joining());
    }

    private static String plain() {
        return events(
                start(tokens(12, 1, 0, 0)),
                BLOCK,
                PING,
                TEXT,
                BLOCK_STOP,
                delta("\"end_turn\"", tokens(12, 30, 0, 0)),
                STOP);
    }

    private static String message(String usage) {
        return """
                {"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"晴","id":"no"}],"stop_reason":"end_turn","stop_sequence":null,"usage":%s}""".formatted(usage);
    }

    @Test
    @DisplayName("A01: of input and output, which come in two events, the last of each counts")
    void plainStream() {
        RequestUsage request = anthropic.stream(plain(), COMPLETE);

        anthropic.assertBooked(request, COMPLETED, REPORTED, PLAIN);
        assertThat(request.responseId()).isEqualTo("msg_1");
        assertThat(request.responseModel()).isEqualTo("claude-x");
    }

    @Test
    @DisplayName("A02: the input that server tools raised on the way counts, cache and all")
    void theLaterEventWinsFieldByField() {
        RequestUsage request = anthropic.stream(
                events(start(tokens(2, 1, 0, 3057)), TEXT, delta("\"end_turn\"", tokens(6, 400, 6267, 3326)), STOP),
                COMPLETE);

        anthropic.assertBooked(request, COMPLETED, REPORTED, usage(6 + 6267 + 3326, 400, 6267, 3326));
    }

    @Test
    void aDeltaWithTheOutputOnlyLeavesTheInputAsItWas() {
        RequestUsage request = anthropic.stream(
                events(start(tokens(10, 1, 100, 1000)), delta("\"tool_use\"", "{\"output_tokens\":30}"), STOP),
                COMPLETE);

        anthropic.assertBooked(request, COMPLETED, REPORTED, usage(1110, 30, 100, 1000));
    }

    @Test
    void aDeltaWhoseOtherFieldsAreNullLeavesTheInputAsItWas() {
        RequestUsage request =
                anthropic.stream(events(start(tokens(10, 1, 100, 1000)), delta("\"end_turn\"", """
                                {"input_tokens":null,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":30,"server_tool_use":null}"""), STOP), COMPLETE);

        anthropic.assertBooked(request, COMPLETED, REPORTED, usage(1110, 30, 100, 1000));
    }

    @Test
    @DisplayName("T13: thinking is inside the output; the split of cache writes and of iterations is not added again")
    void thinkingAndDetails() {
        RequestUsage request =
                anthropic.stream(events(start(tokens(12, 1, 0, 5)), delta("\"end_turn\"", """
                                {"input_tokens":12,"cache_creation_input_tokens":5,"cache_read_input_tokens":0,"output_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0},"output_tokens_details":{"thinking_tokens":250},"iterations":[{"type":"message","input_tokens":60385,"output_tokens":250}]}"""), STOP), COMPLETE);

        anthropic.assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(17)
                        .outputTokens(300)
                        .part(TokenPart.CACHE_READ_INPUT, 0)
                        .part(TokenPart.CACHE_CREATION_INPUT, 5)
                        .part(TokenPart.REASONING_OUTPUT, 250)
                        .build());
    }

    @Test
    @DisplayName("what compaction took is billed beside the counts, and added; other iterations are inside them")
    void compaction() {
        String usage = """
                {"input_tokens":23000,"output_tokens":1000,"cache_read_input_tokens":40,"cache_creation_input_tokens":0,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500,"cache_read_input_tokens":500,"cache_creation_input_tokens":60},{"input_tokens":7,"output_tokens":1,"type":"compaction"},{"type":"message","input_tokens":23000,"output_tokens":1000},{"type":"fallback_message","input_tokens":99,"output_tokens":99},null]}""";
        TokenUsage expected = usage(23000 + 40 + 180000 + 500 + 60 + 7, 1000 + 3500 + 1, 540, 60);

        anthropic.assertBooked(anthropic.call(message(usage)), COMPLETED, REPORTED, expected);
        String stream = events(start(tokens(60385, 1, 0, 0)), delta("\"end_turn\"", usage), delta("null", usage), STOP);
        anthropic.assertBooked(anthropic.stream(stream, COMPLETE), COMPLETED, REPORTED, expected);
    }

    @Test
    @DisplayName("a request for nothing but compaction has counts of zero, and is billed for it")
    void compactionAlone() {
        anthropic.assertBooked(anthropic.call(message("""
                        {"input_tokens":0,"output_tokens":0,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500}]}""")), COMPLETED, REPORTED, TokenUsage.of(180000, 3500));
    }

    @Test
    void call() {
        RequestUsage request = anthropic.call(message(tokens(12, 30, 200, 1000)));

        anthropic.assertBooked(request, COMPLETED, REPORTED, usage(1212, 30, 200, 1000));
        assertThat(request.responseId()).isEqualTo("msg_1");
        assertThat(request.responseModel()).isEqualTo("claude-x");
    }

    @Test
    void callWithoutCacheFields() {
        anthropic.assertBooked(
                anthropic.call(message("{\"input_tokens\":12,\"output_tokens\":30}")),
                COMPLETED,
                REPORTED,
                TokenUsage.of(12, 30));
    }

    @Test
    void callWithoutUsageIsMissing() {
        anthropic.assertBooked(anthropic.call(message("null")), COMPLETED, MISSING, null);
    }

    @Test
    void anErrorStatusIsRefused() {
        anthropic.assertBooked(anthropic.call(529, OVERLOADED), REJECTED, REPORTED, TokenUsage.ZERO);
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut has what its start said, which is a lower bound")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutAfterTheStart(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request = anthropic.stream(events(start(tokens(12, 1, 100, 0)), BLOCK, TEXT), ending);

        anthropic.assertBooked(request, outcome, PARTIAL, usage(112, 1, 100, 0));
        assertThat(request.responseId()).isEqualTo("msg_1");
    }

    @Test
    void aDeltaInBetweenIsNotFinal() {
        String running = events(start(tokens(12, 1, 0, 0)), delta("null", tokens(20, 15, 0, 0)));

        anthropic.assertBooked(anthropic.stream(running, CANCEL), CANCELLED, PARTIAL, usage(20, 15, 0, 0));
        anthropic.assertBooked(
                anthropic.stream(running + events(delta("\"end_turn\"", tokens(20, 40, 0, 0))), CANCEL),
                COMPLETED,
                REPORTED,
                usage(20, 40, 0, 0));
    }

    @Test
    void anEndWithoutUsageLeavesTheStartsWhichIsALowerBound() {
        anthropic.assertBooked(
                anthropic.stream(events(start(tokens(12, 1, 0, 0)), TEXT, STOP), COMPLETE),
                COMPLETED,
                PARTIAL,
                usage(12, 1, 0, 0));
    }

    @ParameterizedTest
    @DisplayName("T7: whoever leaves after the end has lost nothing")
    @CsvSource({"CANCEL", "RESET", "COMPLETE"})
    void leavingAfterTheEnd(TapUnderTest.Ending ending) {
        anthropic.assertBooked(anthropic.stream(plain(), ending), COMPLETED, REPORTED, PLAIN);

        String beforeTheStop = plain().replace("event: message_stop\ndata: " + STOP + "\n\n", "");
        anthropic.assertBooked(anthropic.stream(beforeTheStop, ending), COMPLETED, REPORTED, PLAIN);
    }

    @Test
    @DisplayName("T7: an error event fails the request; what its start said stays")
    void errorEvent() {
        anthropic.assertBooked(
                anthropic.stream(events(start(tokens(12, 1, 0, 0)), TEXT, OVERLOADED), COMPLETE),
                FAILED,
                PARTIAL,
                usage(12, 1, 0, 0));
        anthropic.assertBooked(anthropic.stream(events(OVERLOADED), COMPLETE), FAILED, MISSING, null);
        anthropic.assertBooked(anthropic.stream(events(OVERLOADED), RESET), FAILED, MISSING, null);
    }

    @Test
    @DisplayName("T14: a stream without usage is finished, and missing")
    void noUsage() {
        RequestUsage request =
                anthropic.stream(events(start("null"), TEXT, delta("\"end_turn\"", "null"), STOP), COMPLETE);

        anthropic.assertBooked(request, COMPLETED, MISSING, null);
        assertThat(request.responseId()).isEqualTo("msg_1");
    }

    @Test
    void nothingAtAll() {
        anthropic.assertBooked(anthropic.stream("", CANCEL), CANCELLED, MISSING, null);
    }

    @Test
    @DisplayName("T23: at a foreign path a stream names its events; a call names nothing")
    void foreignPath() {
        Endpoint elsewhere = anthropic.movedTo("/llm/ask");

        elsewhere.assertBooked(elsewhere.stream(plain(), COMPLETE), COMPLETED, REPORTED, PLAIN);
        elsewhere.assertNotBooked(false, message(tokens(12, 30, 0, 0)));
        elsewhere.assertNotBooked(true, events(TEXT, delta("\"end_turn\"", tokens(12, 30, 0, 0)), STOP));
        elsewhere.assertNotBooked(true, events(OVERLOADED));
        anthropic.movedTo("/v1/messages/count_tokens").assertNotBooked(false, "{\"input_tokens\":2095}");
    }

    @Test
    void behindAPrefixThePathIsTheSame() {
        Endpoint proxy = anthropic.movedTo("/anthropic/v1/messages");

        proxy.assertBooked(proxy.call(message(tokens(12, 30, 0, 0))), COMPLETED, REPORTED, PLAIN);
    }

    @Test
    void noCutMatters() {
        anthropic.assertNoCutMatters(true, plain());
        anthropic.assertNoCutMatters(true, plain().replace("\n", "\r\n"));
        anthropic.assertNoCutMatters(false, message(tokens(12, 30, 200, 1000)));
    }

    @Test
    void anEventCutInANumberTakesNoFigureAway() {
        String body = events(start(tokens(60385, 1, 0, 0)), delta("\"end_turn\"", tokens(60387, 612, 0, 0)));

        anthropic.assertBooked(
                anthropic.stream(body.substring(0, body.indexOf("0387")), RESET),
                COMPLETED,
                PARTIAL,
                usage(60385, 1, 0, 0));
    }

    @Test
    void noPrefixIsBookedAsMore() {
        anthropic.assertNoPrefixIsBookedAsMore(plain());
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#none")
    void aJunkFigureIsNone(String junk) {
        String usage = "{\"input_tokens\":12,\"output_tokens\":30,\"cache_read_input_tokens\":%s}".formatted(junk);
        RequestUsage stream = anthropic.stream(
                events(start("{\"input_tokens\":12,\"output_tokens\":1}"), delta("\"end_turn\"", usage), STOP),
                COMPLETE);

        assertThat(stream.outcome()).isEqualTo(COMPLETED);
        assertThat(stream.usage().inputTokens()).isEqualTo(12);
        assertThat(stream.usage().cacheReadInputTokens()).isEmpty();
        assertThat(anthropic.call(message(usage)).outcome()).isEqualTo(COMPLETED);
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#huge")
    void hugeFiguresDoNotWrap(String huge) {
        String usage = """
                {"input_tokens":%1$s,"output_tokens":%1$s,"cache_read_input_tokens":%1$s,"cache_creation_input_tokens":%1$s}""".formatted(huge);

        RequestUsage request = anthropic.call(message(usage));

        assertThat(request.usage().inputTokens()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    @DisplayName("the figures are there as reported: the input without the cache, the last of each field")
    void asReported() {
        RequestUsage request =
                anthropic.stream(events(start(tokens(10, 1, 100, 1000)), delta("\"end_turn\"", """
                                {"output_tokens":30,"server_tool_use":{"web_search_requests":2},"iterations":[{"type":"message","input_tokens":10}]}"""), STOP), COMPLETE);

        assertThat(request.usage().inputTokens()).isEqualTo(1110);
        assertThat(request.reported())
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "usage.input_tokens", 10L,
                        "usage.output_tokens", 30L,
                        "usage.cache_read_input_tokens", 100L,
                        "usage.cache_creation_input_tokens", 1000L,
                        "usage.server_tool_use.web_search_requests", 2L,
                        "usage.iterations[0].input_tokens", 10L));
    }
}
