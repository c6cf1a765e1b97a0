package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.TRUNCATED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiCall;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
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

class OpenAiDialectTest {

    private static final String DONE = "[DONE]";

    private final TapUnderTest tap = TapUnderTest.create();

    private static void assertBooked(
            RequestUsage request, RequestOutcome outcome, UsageSource source, @Nullable TokenUsage usage) {
        assertThat(request.provider()).isEqualTo("openai");
        assertThat(request.usage()).isEqualTo(usage);
        assertThat(request.source()).isEqualTo(source);
        assertThat(request.outcome()).isEqualTo(outcome);
    }

    @Test
    @DisplayName("T2: the usage on a chunk of its own counts, once")
    void usageOnlyChunk() {
        RequestUsage request = tap.openAiStream(
                events(
                        openAi("a", "null"),
                        openAi("b", "null"),
                        openAiFinish("null"),
                        openAiUsageOnly(promptTokens(24, 1355)),
                        DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(24, 1355));
        assertThat(request.responseId()).isEqualTo("chatcmpl-1");
        assertThat(request.responseModel()).isEqualTo("gpt-x");
    }

    @Test
    @DisplayName("usage on the finish chunk counts, with DeepSeek's cache hits")
    void usageOnFinishChunk() {
        RequestUsage request = tap.openAiStream(events(openAi("a", "null"), openAiFinish("""
                                {"prompt_tokens":339,"completion_tokens":83,"total_tokens":422,"prompt_cache_hit_tokens":320,"prompt_cache_miss_tokens":19}"""), DONE), CANCEL);

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(339)
                        .outputTokens(83)
                        .part(TokenPart.CACHE_READ_INPUT, 320)
                        .build());
    }

    @Test
    @DisplayName("T1: of the usage on every chunk the last counts")
    void usageOnEveryChunk() {
        RequestUsage request = tap.openAiStream(
                events(
                        openAi("a", promptTokens(10, 1)),
                        openAi("b", promptTokens(10, 2)),
                        openAiFinish(promptTokens(10, 3)),
                        openAiUsageOnly(promptTokens(10, 4)),
                        DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(10, 4));
    }

    @ParameterizedTest
    @DisplayName("T7: running figures of a stream that is cut are partial")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutWithUsageOnEveryChunk(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request =
                tap.openAiStream(events(openAi("a", promptTokens(10, 1)), openAi("b", promptTokens(10, 2))), ending);

        assertBooked(request, outcome, PARTIAL, TokenUsage.of(10, 2));
    }

    @ParameterizedTest
    @DisplayName("T14: a stream without usage is missing, not zero")
    @CsvSource({"COMPLETE", "CANCEL"})
    void noUsage(TapUnderTest.Ending ending) {
        RequestUsage request = tap.openAiStream(events(openAi("a", "null"), openAiFinish("null"), DONE), ending);

        assertBooked(request, COMPLETED, MISSING, null);
    }

    @Test
    void azureBeginsWithAChunkThatHasNeitherIdNorChoices() {
        RequestUsage request = tap.openAiStream(
                events("""
                        {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}""", openAi("a", "null"), openAiFinish("null"), openAiUsageOnly(promptTokens(24, 13)), DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(24, 13));
        assertThat(request.responseId()).isEqualTo("chatcmpl-1");
        assertThat(request.responseModel()).isEqualTo("gpt-x");
    }

    @Test
    void azurePathWithADeploymentInIt() {
        tap.feed(
                TapUnderTest.post("/openai/deployments/d1/chat/completions"),
                200,
                TapUnderTest.JSON,
                openAiCall(promptTokens(1, 2)),
                COMPLETE);

        assertBooked(tap.only(), COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    void choicesThatAreNull() {
        RequestUsage request = tap.openAiStream(
                events(
                        "{\"id\":\"x\",\"choices\":null,\"usage\":null}",
                        openAiFinish("null"),
                        "{\"id\":\"x\",\"choices\":null,\"usage\":" + promptTokens(24, 13) + "}",
                        DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    @DisplayName("T7: clients cancel at [DONE]; that is the normal end")
    void cancelAtDone() {
        String stream = events(openAiFinish("null"), openAiUsageOnly(promptTokens(24, 13)), DONE);

        assertBooked(tap.openAiStream(stream, CANCEL), COMPLETED, REPORTED, TokenUsage.of(24, 13));
        assertBooked(
                tap.openAiStream(stream.substring(0, stream.length() - 2), CANCEL),
                COMPLETED,
                REPORTED,
                TokenUsage.of(24, 13));
    }

    @Test
    void doneEndsAStreamWhoseChoicesNeverFinished() {
        RequestUsage request = tap.openAiStream(events(openAi("a", promptTokens(10, 1)), DONE), CANCEL);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(10, 1));
    }

    @Test
    @DisplayName(
            "T7: a running figure stays one, if the event after it could not be read and may have had the final one")
    void doneAfterAnUnreadEvent() {
        RequestUsage request =
                tap.openAiStream(events(openAi("a", promptTokens(10, 1)), "{\"choices\":[{", DONE), CANCEL);

        assertBooked(request, COMPLETED, PARTIAL, TokenUsage.of(10, 1));
    }

    @ParameterizedTest
    @DisplayName("T7: a stream that is cut before its usage is missing")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void cutBeforeUsage(TapUnderTest.Ending ending, RequestOutcome outcome) {
        RequestUsage request = tap.openAiStream(events(openAi("a", "null"), openAi("b", "null")), ending);

        assertBooked(request, outcome, MISSING, null);
    }

    @ParameterizedTest
    @CsvSource({"COMPLETE", "RESET", "CANCEL"})
    void cutBetweenFinishAndUsageIsCompletedButMissing(TapUnderTest.Ending ending) {
        RequestUsage request = tap.openAiStream(events(openAi("a", "null"), openAiFinish("null")), ending);

        assertBooked(request, COMPLETED, MISSING, null);
    }

    @Test
    void withTwoChoicesOneThatFinishedIsNotEnough() {
        String cut = events(
                openAi(0, "{\"content\":\"a\"}", "null", "null"),
                openAi(1, "{\"content\":\"b\"}", "null", "null"),
                openAi(0, "{}", "\"stop\"", "null"));

        assertBooked(tap.openAiStream(cut, CANCEL), CANCELLED, MISSING, null);
        assertBooked(tap.openAiStream(cut, COMPLETE), TRUNCATED, MISSING, null);
        assertBooked(
                tap.openAiStream(cut + events(openAi(1, "{}", "\"stop\"", "null")), CANCEL), COMPLETED, MISSING, null);
    }

    @ParameterizedTest
    @DisplayName("T7: an error inside the stream fails the request")
    @CsvSource({"'{\"message\":\"overloaded\",\"code\":\"server_error\"}'", "'\"overloaded\"'"})
    void errorInTheStream(String error) {
        String failure = "{\"error\":" + error + "}";

        assertBooked(tap.openAiStream(events(openAi("a", "null"), failure), COMPLETE), FAILED, MISSING, null);
        assertBooked(
                tap.openAiStream(events(openAi("a", promptTokens(10, 1)), failure, DONE), COMPLETE),
                FAILED,
                PARTIAL,
                TokenUsage.of(10, 1));
        assertBooked(tap.openAiStream(events(failure), COMPLETE), FAILED, MISSING, null);
    }

    @Test
    void anErrorThatIsNullIsNone() {
        String chunk = openAiFinish(promptTokens(1, 2)).replace("{\"id\"", "{\"error\":null,\"id\"");

        assertBooked(tap.openAiStream(events(chunk, DONE), COMPLETE), COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    @DisplayName("T13: cached and written tokens are inside the input, reasoning inside the output")
    void callWithParts() {
        RequestUsage request = tap.openAiCall(openAiCall("""
                        {"prompt_tokens":2000,"completion_tokens":500,"total_tokens":2500,"prompt_tokens_details":{"cached_tokens":1024,"cache_write_tokens":512,"audio_tokens":3},"completion_tokens_details":{"reasoning_tokens":384,"audio_tokens":4,"accepted_prediction_tokens":0}}"""));

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(2000)
                        .outputTokens(500)
                        .part(TokenPart.CACHE_READ_INPUT, 1024)
                        .part(TokenPart.CACHE_CREATION_INPUT, 512)
                        .part(TokenPart.AUDIO_INPUT, 3)
                        .part(TokenPart.REASONING_OUTPUT, 384)
                        .part(TokenPart.AUDIO_OUTPUT, 4)
                        .build());
    }

    @Test
    @DisplayName("Groq: the usage inside x_groq counts if it stands alone, and once if it stands twice")
    void groq() {
        String counts = "{\"queue_time\":0.02,\"prompt_tokens\":24,\"completion_tokens\":13,\"total_tokens\":37,"
                + "\"completion_tokens_details\":{\"reasoning_tokens\":9}}";
        TokenUsage expected = TokenUsage.builder()
                .inputTokens(24)
                .outputTokens(13)
                .part(TokenPart.REASONING_OUTPUT, 9)
                .build();

        for (String usage : new String[] {"null", counts}) {
            String finish = openAiFinish(usage)
                    .replace("\"choices\"", "\"x_groq\":{\"id\":\"req_1\",\"usage\":" + counts + "},\"choices\"");

            assertBooked(tap.openAiStream(events(finish, DONE), CANCEL), COMPLETED, REPORTED, expected);
        }
    }

    @ParameterizedTest
    @DisplayName("T13: reasoning is added to the output only where the figures say that it is beside it")
    @CsvSource({"10, 4, ',\"total_tokens\":22', 10", "2, 4, ',\"total_tokens\":18', 6", "2, 4, '', 6", "10, 4, '', 10"})
    void reasoningInsideOrBeside(long completion, long reasoning, String total, long output) {
        RequestUsage request = tap.openAiCall(openAiCall("""
                {"prompt_tokens":12,"completion_tokens":%d%s,"completion_tokens_details":{"reasoning_tokens":%d}}""".formatted(completion, total, reasoning)));

        assertThat(request.usage().outputTokens()).isEqualTo(output);
    }

    @Test
    void theDetailsWinOverDeepSeeksHitTokensInAnyOrder() {
        String hit = "\"prompt_cache_hit_tokens\":320";
        String details = "\"prompt_tokens_details\":{\"cached_tokens\":321}";
        String usage = "{\"prompt_tokens\":339,\"completion_tokens\":83,%s,%s}";

        assertThat(tap.openAiCall(openAiCall(usage.formatted(hit, details)))
                        .usage()
                        .cacheReadInputTokens())
                .hasValue(321);
        assertThat(tap.openAiCall(openAiCall(usage.formatted(details, hit)))
                        .usage()
                        .cacheReadInputTokens())
                .hasValue(321);
    }

    @Test
    @DisplayName("DashScope's compatible mode: cache writes by their own name")
    void dashScopeCompatible() {
        RequestUsage request = tap.openAiCall(openAiCall("""
                        {"prompt_tokens":2000,"completion_tokens":5,"total_tokens":2005,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":1900,"cache_creation":{"ephemeral_5m_input_tokens":1900},"cache_type":"ephemeral"}}"""));

        assertThat(request.usage().cacheCreationInputTokens()).hasValue(1900);
        assertThat(request.usage().cacheReadInputTokens()).hasValue(0);
    }

    @Test
    @DisplayName("T13: xAI's reasoning is beside the output, as its total says: 12 + 2 + 340 = 354")
    void reasoningBesideTheOutput() {
        RequestUsage request = tap.openAiCall(openAiCall("""
                        {"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,"prompt_tokens_details":{"cached_tokens":11},"completion_tokens_details":{"reasoning_tokens":340}}"""));

        assertBooked(
                request,
                COMPLETED,
                REPORTED,
                TokenUsage.builder()
                        .inputTokens(12)
                        .outputTokens(342)
                        .totalTokens(354)
                        .part(TokenPart.CACHE_READ_INPUT, 11)
                        .part(TokenPart.REASONING_OUTPUT, 340)
                        .build());
    }

    @ParameterizedTest
    @DisplayName("T14: a total that reasoning does not explain adds nothing to the output")
    @CsvSource({"352", "355", "14", "9223372036854775807", "null"})
    void totalThatReasoningDoesNotExplain(String total) {
        RequestUsage request = tap.openAiCall(openAiCall("""
                        {"prompt_tokens":12,"completion_tokens":341,"total_tokens":%s,"completion_tokens_details":{"reasoning_tokens":340}}""".formatted(total)));

        assertThat(request.usage().outputTokens()).isEqualTo(341);
    }

    @Test
    @DisplayName("T13: Mistral's cached tokens are inside the input, in details or beside them")
    void mistralCachedTokens() {
        assertThat(tap.openAiCall(openAiCall("""
                                {"prompt_tokens":130,"completion_tokens":8,"total_tokens":138,"num_cached_tokens":64}""")).usage().cacheReadInputTokens())
                .hasValue(64);
    }

    @Test
    void callWithoutChoicesIsBilledAllTheSame() {
        assertBooked(
                tap.openAiCall("{\"id\":\"c\",\"object\":\"chat.completion\",\"usage\":" + promptTokens(100, 8) + "}"),
                COMPLETED,
                REPORTED,
                TokenUsage.of(100, 8));
    }

    @Test
    void callWithoutUsageIsMissing() {
        assertBooked(tap.openAiCall(openAiCall("null")), COMPLETED, MISSING, null);
    }

    @Test
    void unknownFieldsAndFinishReasonsDoNotMatter() {
        RequestUsage request = tap.openAiStream(
                events(
                        openAi(0, "{}", "\"brand_new\"", "null")
                                .replace("\"choices\"", "\"x_groq\":{\"usage\":{\"prompt_tokens\":1}},\"choices\""),
                        openAiUsageOnly(promptTokens(24, 13)),
                        DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(24, 13));
    }

    @Test
    void textThatLooksLikeUsageIsText() {
        RequestUsage request = tap.openAiStream(
                events(
                        openAi(
                                0,
                                "{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":99}\",\"usage\":{\"prompt_tokens\":98}}",
                                "null",
                                "null"),
                        openAiFinish("null"),
                        openAiUsageOnly(promptTokens(1, 2)),
                        DONE),
                COMPLETE);

        assertBooked(request, COMPLETED, REPORTED, TokenUsage.of(1, 2));
    }

    @Test
    void chunksWithBlanksAfterTheColonsAreReadTheSame() {
        String pretty =
                "{\n  \"id\" : \"x\",\n  \"choices\" : [ ],\n  \"usage\" :\t{\n \"prompt_tokens\" : 5, \"completion_tokens\" : 6 }\n}";
        String lines = "data: " + pretty.replace("\n", "\ndata: ") + "\n\n";

        assertBooked(
                tap.openAiStream(events(openAiFinish("null")) + lines + events(DONE), COMPLETE),
                COMPLETED,
                REPORTED,
                TokenUsage.of(5, 6));
    }

    @Test
    @DisplayName("T7: wherever a stream is cut off, no figure is made up")
    void noPrefixIsBookedAsMore() {
        new Endpoint("openai", TapUnderTest.OPENAI_PATH, TapUnderTest.EVENTS)
                .assertNoPrefixIsBookedAsMore(events(
                        openAi("a", promptTokens(100, 11)),
                        openAi("b", promptTokens(100, 22)),
                        openAiFinish(promptTokens(100, 44)),
                        openAiUsageOnly(promptTokens(100, 44)),
                        DONE));
    }

    @Test
    @DisplayName("the figures are there as reported: xAI's output without its reasoning, Groq's under its own name")
    void asReported() {
        assertThat(tap.openAiCall(openAiCall("""
                                {"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,"completion_tokens_details":{"reasoning_tokens":340},"num_sources_used":3}""")).reported())
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "usage.prompt_tokens", 12L,
                        "usage.completion_tokens", 2L,
                        "usage.total_tokens", 354L,
                        "usage.completion_tokens_details.reasoning_tokens", 340L,
                        "usage.num_sources_used", 3L));
        String groq = openAiFinish("null")
                .replace(
                        "\"choices\"",
                        "\"x_groq\":{\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":13}},\"choices\"");
        assertThat(tap.openAiStream(events(groq, DONE), COMPLETE).reported())
                .containsExactlyInAnyOrderEntriesOf(
                        Map.of("x_groq.usage.prompt_tokens", 24L, "x_groq.usage.completion_tokens", 13L));
    }
}
