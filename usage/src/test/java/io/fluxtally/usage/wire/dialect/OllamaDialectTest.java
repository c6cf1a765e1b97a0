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
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.TapUnderTest;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class OllamaDialectTest {

    private static final String NOT_FOUND = "{\"error\":\"model 'x' not found\"}";

    private final Endpoint ollama = new Endpoint("ollama", "/api/chat", "application/x-ndjson");

    private static String line(String text) {
        return """
                {"model":"qwen-x","created_at":"2026-01-01T00:00:00.1Z","message":{"role":"assistant","content":"%s"},"done":false}""".formatted(text);
    }

    private static String done(String counts) {
        return """
                {"model":"qwen-x","created_at":"2026-01-01T00:00:00.2Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"load_duration":1334875,"prompt_eval_duration":342546000,"eval_duration":4535599000%s}""".formatted(counts);
    }

    private static String counts(long input, long output) {
        return ",\"prompt_eval_count\":%d,\"eval_count\":%d".formatted(input, output);
    }

    private static String lines(String... documents) {
        return String.join("\n", documents) + "\n";
    }

    private static String plain() {
        return lines(line("今"), line("天\\n \\\"done\\\":true,\\\"eval_count\\\":9"), line("晴"), done(counts(26, 290)));
    }

    @Test
    @DisplayName("the line that is done has the counts")
    void plainStream() {
        RequestUsage request = ollama.stream(plain(), COMPLETE);

        ollama.assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(26, 290));
        assertThat(request.responseId()).isNull();
        assertThat(request.responseModel()).isEqualTo("qwen-x");
    }

    @ParameterizedTest
    @DisplayName("lines go by many names")
    @ValueSource(
            strings = {
                "application/ndjson",
                "application/jsonl",
                "application/x-jsonl",
                "application/jsonlines",
                "application/x-jsonlines",
                "Application/X-NDJSON ; charset=utf-8"
            })
    void contentTypesOfLines(String type) {
        Endpoint endpoint = new Endpoint("ollama", "/api/chat", type);

        endpoint.assertBooked(endpoint.stream(plain(), COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
        endpoint.assertNoCutMatters(true, plain());
    }

    @Test
    @DisplayName("the records of a JSON text sequence (RFC 7464) are read, line breaks in them or not")
    void textSequence() {
        Endpoint endpoint = new Endpoint("ollama", "/api/chat", "application/json-seq");
        String pretty = done(counts(26, 290)).replace(",\"", ",\r\n  \"") + "\n";
        String sequence = "\u001e" + line("今") + "\n\u001e\u001e" + line("晴") + "\u001e" + pretty;

        endpoint.assertBooked(endpoint.stream(sequence, COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
        endpoint.assertNoCutMatters(true, sequence);
        endpoint.assertNoPrefixIsBookedAsMore(sequence);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\r\n", "\n\n", "\n \n", "\r"})
    void linesMayEndInAnyWay(String end) {
        ollama.assertBooked(
                ollama.stream(plain().replace("\n", end), COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
    }

    @Test
    void theLastLineNeedsNoEnd() {
        ollama.assertBooked(
                ollama.stream(plain().stripTrailing(), COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
        ollama.assertBooked(
                ollama.stream(plain().stripTrailing(), CANCEL), COMPLETED, REPORTED, TokenUsage.of(26, 290));
    }

    @Test
    void generateEndsInTheSameLine() {
        Endpoint generate = ollama.movedTo("/api/generate");
        String body = lines(
                "{\"model\":\"qwen-x\",\"response\":\"晴\",\"done\":false}",
                "{\"model\":\"qwen-x\",\"response\":\"\",\"done\":true,\"context\":[1,2,3]" + counts(26, 290) + "}");

        generate.assertBooked(generate.stream(body, COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
    }

    @Test
    void call() {
        ollama.assertBooked(ollama.call(done(counts(10, 17))), COMPLETED, REPORTED, TokenUsage.of(10, 17));
    }

    @Test
    @DisplayName("older servers leave out the input on a cache hit: the output alone is a lower bound")
    void withoutInput() {
        String body = done(",\"eval_count\":17");

        ollama.assertBooked(ollama.stream(lines(line("a"), body), COMPLETE), COMPLETED, PARTIAL, TokenUsage.of(0, 17));
        ollama.assertBooked(ollama.call(body), COMPLETED, PARTIAL, TokenUsage.of(0, 17));
    }

    @Test
    void withoutCounts() {
        ollama.assertBooked(ollama.stream(lines(line("a"), done("")), COMPLETE), COMPLETED, MISSING, null);
        ollama.assertBooked(ollama.call(done("")), COMPLETED, MISSING, null);
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut before its last line is missing")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cut(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request = ollama.stream(lines(line("今"), line("天")), ending);

        ollama.assertBooked(request, outcome, MISSING, null);
        assertThat(request.responseModel()).isEqualTo("qwen-x");
    }

    @ParameterizedTest
    @CsvSource({"COMPLETE", "RESET", "CANCEL"})
    void leavingAfterTheEnd(TapUnderTest.Ending ending) {
        ollama.assertBooked(ollama.stream(plain(), ending), COMPLETED, REPORTED, TokenUsage.of(26, 290));
    }

    @Test
    @DisplayName("T7: a line with an error fails the request")
    void errorLine() {
        String error = "{\"error\":\"an error was encountered while running the model\"}";

        ollama.assertBooked(ollama.stream(lines(line("今"), error), COMPLETE), FAILED, MISSING, null);
        ollama.assertBooked(ollama.stream(lines(error), COMPLETE), FAILED, MISSING, null);
        ollama.assertBooked(
                ollama.stream(lines(done(counts(1, 2)).replace("{\"model\"", "{\"error\":null,\"model\"")), COMPLETE),
                COMPLETED,
                REPORTED,
                TokenUsage.of(1, 2));
    }

    @Test
    void anErrorStatusIsRefused() {
        ollama.assertBooked(ollama.call(404, NOT_FOUND), REJECTED, REPORTED, TokenUsage.ZERO);
    }

    @Test
    void aBrokenLineIsPassedOver() {
        String body = lines(line("今"), "{\"model\":", "[DONE]", "\"text\"", "7", done(counts(26, 290)));

        ollama.assertBooked(ollama.stream(body, COMPLETE), COMPLETED, REPORTED, TokenUsage.of(26, 290));
    }

    @Test
    void nothingAtAll() {
        ollama.assertBooked(ollama.stream("", CANCEL), CANCELLED, MISSING, null);
        ollama.assertBooked(ollama.stream("\n\r\n\n", CANCEL), CANCELLED, MISSING, null);
    }

    @Test
    @DisplayName("T23: the responses name no type, so at a foreign path they are none")
    void foreignPath() {
        for (String path : new String[] {"/llm/ask", "/api/pull", "/api/embed"}) {
            Endpoint elsewhere = ollama.movedTo(path);

            elsewhere.assertNotBooked(true, plain());
            elsewhere.assertNotBooked(false, done(counts(10, 17)));
        }
    }

    @Test
    void noCutMatters() {
        ollama.assertNoCutMatters(true, plain());
        ollama.assertNoCutMatters(true, plain().replace("\n", "\r\n"));
        ollama.assertNoCutMatters(true, plain().stripTrailing());
        ollama.assertNoCutMatters(false, done(counts(10, 17)));
    }

    @Test
    void noPrefixIsBookedAsMore() {
        ollama.assertNoPrefixIsBookedAsMore(plain());
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.usage.wire.dialect.JunkFigures#none")
    void aJunkFigureIsNone(String junk) {
        String last = done(",\"eval_count\":17,\"prompt_eval_count\":" + junk);

        RequestUsage stream = ollama.stream(lines(line("a"), last), COMPLETE);
        RequestUsage call = ollama.call(last);

        assertThat(stream.source()).isNotEqualTo(REPORTED);
        assertThat(call.source()).isNotEqualTo(REPORTED);
        assertThat(call.outcome()).isEqualTo(COMPLETED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"null", "false", "1", "-1", "1e99", "\"true\"", "{\"done\":true}", "[true]"})
    void junkInsteadOfTheMarkOfTheEndIsNone(String junk) {
        String last = done(counts(1, 2)).replace("\"done\":true", "\"done\":" + junk + ",\"model\":" + junk);

        assertThat(ollama.stream(lines(line("a"), last), COMPLETE).source()).isNotEqualTo(REPORTED);
    }

    @Test
    @DisplayName("the figures are there as reported, durations in nanoseconds among them, and nothing of the answer")
    void asReported() {
        String call =
                "{\"n\":9,\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":{\"eval_count\":5,\"x\":6}}}]},"
                        + done(counts(26, 290)).substring(1);

        assertThat(ollama.call(call).reported())
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "prompt_eval_count", 26L,
                        "eval_count", 290L,
                        "total_duration", 4883583458L,
                        "load_duration", 1334875L,
                        "prompt_eval_duration", 342546000L,
                        "eval_duration", 4535599000L));
    }
}
