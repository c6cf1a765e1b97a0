package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.RequestOutcome.TRUNCATED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.CANCEL;
import static io.fluxtally.usage.wire.TapUnderTest.Ending.COMPLETE;
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
import org.junit.jupiter.params.provider.ValueSource;

class OpenAiResponsesDialectTest {

    private static final String TEXT = """
            {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"晴 \\"usage\\":{\\"input_tokens\\":99}"}""";
    private static final String ERROR =
            "{\"type\":\"error\",\"sequence_number\":4,\"code\":\"server_error\",\"message\":\"x\",\"param\":null}";

    private static final TokenUsage PLAIN = usage(12, 40, 8, 0, 32);

    private final Endpoint responses = new Endpoint("openai", "/v1/responses", TapUnderTest.EVENTS);

    private static String response(String id, String status, String usage) {
        return """
                {"id":"%s","object":"response","created_at":1764000000,"status":"%s","error":null,"model":"gpt-x","output":[{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","text":"晴"}]}],"usage":%s}""".formatted(id, status, usage);
    }

    private static String event(String type, String usage) {
        return "{\"type\":\"response.%s\",\"sequence_number\":1,\"response\":%s}"
                .formatted(type, response("resp_1", type, usage));
    }

    private static String tokens(long input, long cached, long written, long output, long reasoning) {
        return """
                {"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}""".formatted(input, cached, written, output, reasoning, input + output);
    }

    private static TokenUsage usage(long input, long output, long read, long written, long reasoning) {
        return TokenUsage.builder()
                .inputTokens(input)
                .outputTokens(output)
                .part(TokenPart.CACHE_READ_INPUT, read)
                .part(TokenPart.CACHE_CREATION_INPUT, written)
                .part(TokenPart.REASONING_OUTPUT, reasoning)
                .build();
    }

    private static String events(String... documents) {
        return Arrays.stream(documents)
                .map(json -> "event: %s\ndata: %s\n\n".formatted(json.split("\"")[3], json))
                .collect(Collectors.joining());
    }

    private static String begun() {
        return events(event("created", "null"), event("in_progress", "null"), TEXT);
    }

    private static String plain() {
        return begun() + events(event("completed", tokens(12, 8, 0, 40, 32)));
    }

    @Test
    @DisplayName("T13: the last event has the usage, cached inside the input and reasoning inside the output")
    void plainStream() {
        RequestUsage request = responses.stream(plain(), COMPLETE);

        responses.assertBooked(request, COMPLETED, REPORTED, PLAIN);
        assertThat(request.responseId()).isEqualTo("resp_1");
        assertThat(request.responseModel()).isEqualTo("gpt-x");
    }

    @Test
    void anIncompleteResponseIsBilledInFull() {
        responses.assertBooked(
                responses.stream(begun() + events(event("incomplete", tokens(12, 8, 0, 40, 32))), CANCEL),
                COMPLETED,
                REPORTED,
                PLAIN);
    }

    @Test
    void aFailedResponseIsBilledForWhatItReports() {
        responses.assertBooked(
                responses.stream(begun() + events(event("failed", tokens(12, 8, 0, 40, 32))), COMPLETE),
                FAILED,
                REPORTED,
                PLAIN);
        responses.assertBooked(
                responses.stream(begun() + events(event("failed", "null")), COMPLETE), FAILED, MISSING, null);
    }

    @Test
    @DisplayName("T7: an error event fails the request")
    void errorEvent() {
        responses.assertBooked(responses.stream(begun() + events(ERROR), COMPLETE), FAILED, MISSING, null);
        responses.assertBooked(responses.stream(events(ERROR), COMPLETE), FAILED, MISSING, null);
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut before its last event is missing")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cut(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request = responses.stream(begun(), ending);

        responses.assertBooked(request, outcome, MISSING, null);
        assertThat(request.responseId()).isEqualTo("resp_1");
    }

    @ParameterizedTest
    @CsvSource({"COMPLETE", "RESET", "CANCEL"})
    void leavingAfterTheEnd(TapUnderTest.Ending ending) {
        responses.assertBooked(responses.stream(plain(), ending), COMPLETED, REPORTED, PLAIN);
    }

    @Test
    void aRunningFigureIsPartial() {
        responses.assertBooked(
                responses.stream(events(event("in_progress", tokens(12, 8, 0, 3, 3))), CANCEL),
                CANCELLED,
                PARTIAL,
                usage(12, 3, 8, 0, 3));
    }

    @ParameterizedTest
    @ValueSource(strings = {"resp_1", "foreign-1"})
    void call(String id) {
        RequestUsage request = responses.call(response(id, "completed", tokens(2000, 1024, 512, 40, 0)));

        responses.assertBooked(request, COMPLETED, REPORTED, usage(2000, 40, 1024, 512, 0));
        assertThat(request.responseId()).isEqualTo(id);
        assertThat(request.responseModel()).isEqualTo("gpt-x");
    }

    @Test
    void callWithoutUsageIsMissing() {
        responses.assertBooked(responses.call(response("resp_1", "completed", "null")), COMPLETED, MISSING, null);
    }

    @Test
    @DisplayName("T7: a call that failed is failed, and billed for what it reports")
    void failedCall() {
        String failed = response("resp_1", "failed", tokens(12, 8, 0, 40, 32));

        responses.assertBooked(responses.call(failed), FAILED, REPORTED, PLAIN);
        responses.assertBooked(
                responses.call(failed.replace("\"status\":\"failed\",", "")), COMPLETED, REPORTED, PLAIN);
        responses.assertBooked(responses.call(response("resp_1", "failed", "null")), FAILED, MISSING, null);
    }

    @ParameterizedTest
    @DisplayName("a call that a limit or its client cut short has ended, and reports what is billed")
    @ValueSource(strings = {"incomplete", "cancelled", "brand_new"})
    void callThatEndedEarly(String status) {
        responses.assertBooked(
                responses.call(response("resp_1", status, tokens(12, 8, 0, 40, 32))), COMPLETED, REPORTED, PLAIN);
    }

    @ParameterizedTest
    @DisplayName("T7: the answer to a request in the background is no end of it, and its figure not final")
    @ValueSource(strings = {"queued", "in_progress"})
    void callInTheBackground(String status) {
        responses.assertBooked(responses.call(response("resp_1", status, "null")), TRUNCATED, MISSING, null);
        responses.assertBooked(
                responses.call(response("resp_1", status, tokens(12, 8, 0, 40, 32))), TRUNCATED, PARTIAL, PLAIN);
    }

    @Test
    void anErrorStatusIsRefused() {
        responses.assertBooked(
                responses.call(400, "{\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\"}}"),
                REJECTED,
                REPORTED,
                TokenUsage.ZERO);
    }

    @Test
    void dashScopesBillingDetailsAreNotAddedAgain() {
        responses.assertBooked(
                responses.call(response("resp_1", "completed", """
                        {"input_tokens":12,"output_tokens":40,"total_tokens":52,"x_details":[{"input_tokens":12,"output_tokens":40,"x_billing_type":"response_api"}]}""")), COMPLETED, REPORTED, TokenUsage.of(12, 40));
    }

    @Test
    @DisplayName("T23: at a foreign path a response counts by its type and its id together")
    void foreignPath() {
        Endpoint elsewhere = responses.movedTo("/llm/ask");
        String usage = tokens(12, 8, 0, 40, 32);

        elsewhere.assertBooked(elsewhere.call(response("resp_1", "completed", usage)), COMPLETED, REPORTED, PLAIN);
        elsewhere.assertBooked(elsewhere.stream(plain(), COMPLETE), COMPLETED, REPORTED, PLAIN);
        elsewhere.assertNotBooked(false, response("foreign-1", "completed", usage));
        elsewhere.assertNotBooked(true, plain().replace("resp_1", "foreign-1"));
        elsewhere.assertNotBooked(false, response("resp_1", "completed", usage).replace("\"response\"", "\"answer\""));
        elsewhere.assertNotBooked(true, events(ERROR));
    }

    @Test
    void noCutMatters() {
        responses.assertNoCutMatters(true, plain());
        responses.assertNoCutMatters(true, plain().replace("\n", "\r\n"));
        responses.assertNoCutMatters(false, response("resp_1", "completed", tokens(12, 8, 0, 40, 32)));
    }

    @Test
    void noPrefixIsBookedAsMore() {
        responses.assertNoPrefixIsBookedAsMore(plain());
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#none")
    void aJunkFigureIsNone(String junk) {
        String usage = """
                {"input_tokens":12,"output_tokens":%1$s,"total_tokens":%1$s,"input_tokens_details":{"cached_tokens":%1$s},"output_tokens_details":%1$s}""".formatted(junk);

        RequestUsage stream = responses.stream(begun() + events(event("completed", usage)), COMPLETE);

        assertThat(stream.source()).isNotEqualTo(REPORTED);
        assertThat(responses.call(response("resp_1", "completed", usage)).source())
                .isNotEqualTo(REPORTED);
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#huge")
    void hugeFiguresNeverThrow(String huge) {
        String usage = "{\"input_tokens\":%1$s,\"output_tokens\":%1$s,\"total_tokens\":%1$s}".formatted(huge);

        assertThat(responses.call(response("resp_1", "completed", usage)).source())
                .isEqualTo(REPORTED);
    }

    @Test
    @DisplayName("the figures are there as reported, by the same names in a stream and in a call")
    void asReported() {
        String usage = """
                {"input_tokens":12,"output_tokens":40,"total_tokens":52,"x_details":[{"input_tokens":12,"x_billing_type":"response_api"}]}""";
        Map<String, Long> expected = Map.of(
                "usage.input_tokens", 12L,
                "usage.output_tokens", 40L,
                "usage.total_tokens", 52L,
                "usage.x_details[0].input_tokens", 12L);

        assertThat(responses.stream(begun() + events(event("completed", usage)), COMPLETE)
                        .reported())
                .isEqualTo(expected);
        assertThat(responses.call(response("resp_1", "completed", usage)).reported())
                .isEqualTo(expected);
    }
}
