package io.fluxtally.usage.wire;

import static io.fluxtally.usage.RequestOutcome.CANCELLED;
import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.RequestOutcome.TRUNCATED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Frames.dashScope;
import static io.fluxtally.usage.wire.Frames.dashScopeEvents;
import static io.fluxtally.usage.wire.Frames.events;
import static io.fluxtally.usage.wire.Frames.openAi;
import static io.fluxtally.usage.wire.Frames.openAiCall;
import static io.fluxtally.usage.wire.Frames.openAiFinish;
import static io.fluxtally.usage.wire.Frames.openAiUsageOnly;
import static io.fluxtally.usage.wire.Frames.promptTokens;
import static io.fluxtally.usage.wire.Frames.tokens;
import static io.fluxtally.usage.wire.TapUnderTest.DASHSCOPE_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.EVENTS;
import static io.fluxtally.usage.wire.TapUnderTest.JSON;
import static io.fluxtally.usage.wire.TapUnderTest.OPENAI_PATH;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.fasterxml.jackson.core.JsonParser;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.net.http.HttpConnectTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;

class WireRequestTest {

    private final TapUnderTest tap = TapUnderTest.create();

    private static WireRequest open(TapUnderTest tap, RequestHead head) {
        WireRequest request = tap.tap().open(head, null);
        assertThat(request).isNotNull();
        return request;
    }

    /** What is booked for a model call, by the tap or by the call's owner, if the given happens within it. */
    private static List<RequestUsage> bookedForACall(TapUnderTest tap, Consumer<UsageScope> within) {
        ChatModel model = prompt -> {
            within.accept(UsageScope.current());
            return new ChatResponse(List.of(new Generation(new AssistantMessage("a"))));
        };
        UsageChatModel.of(model, tap.recorder()).call(new Prompt("q"));
        return tap.drain();
    }

    private static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(UTF_8));
    }

    @Nested
    class WhatIsNotAModelResponse {

        @ParameterizedTest
        @DisplayName("T23: foreign JSON with usage and choices is not booked")
        @ValueSource(
                strings = {
                    "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_tokens\":11},\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],\"id\":\"x\"}",
                    "{\"object\":\"list\",\"usage\":{\"prompt_tokens\":5},\"choices\":[]}",
                    "{\"output\":{\"choices\":[{\"finish_reason\":\"stop\"}]},\"usage\":{\"input_tokens\":5,\"output_tokens\":6},\"request_id\":\"R1\"}",
                    "{\"x\":{\"object\":\"chat.completion\",\"choices\":[],\"usage\":{\"prompt_tokens\":5}}}",
                    "[{\"object\":\"chat.completion\",\"choices\":[],\"usage\":{\"prompt_tokens\":5}}]",
                    "\"chat.completion\""
                })
        void foreignJson(String body) {
            tap.feed(post("/api/surveys"), 200, JSON, body, Ending.COMPLETE);
            tap.feed(post("/api/surveys"), 200, EVENTS, events(body, "[DONE]"), Ending.COMPLETE);
            tap.feed(post("/api/surveys"), 200, EVENTS, events(body), Ending.CANCEL);
            tap.feed(post("/api/surveys"), 500, JSON, body, Ending.COMPLETE);

            assertThat(tap.drain()).isEmpty();
            assertThat(tap.recorder().processSum().requests()).isZero();
        }

        @Test
        @DisplayName("T23: a GET is not booked, whatever comes back")
        void get() {
            assertThat(tap.tap().open(new RequestHead("GET", OPENAI_PATH, name -> true), null))
                    .isNull();
            assertThat(tap.tap().open(new RequestHead("DELETE", DASHSCOPE_PATH, name -> true), null))
                    .isNull();
        }

        @ParameterizedTest
        @DisplayName("T23: only generation endpoints are DashScope's own")
        @ValueSource(
                strings = {
                    "/api/v1/services/embeddings/text-embedding/text-embedding",
                    "/api/v1/services/aigc/text2image/image-synthesis",
                    "/generation",
                    "/v1/embeddings",
                    "/v1/chat/completions/extra"
                })
        void otherEndpoints(String path) {
            String body = dashScope("a", "stop", tokens(1, 2));
            tap.feed(post(path), 200, JSON, body, Ending.COMPLETE);
            tap.feed(post(path), 200, JSON, "{\"choices\":[],\"usage\":" + promptTokens(1, 2) + "}", Ending.COMPLETE);

            assertThat(tap.drain()).isEmpty();
        }

        @Test
        @DisplayName("T23: a body on another path that names itself is booked")
        void namesItself() {
            tap.feed(post("/llm/ask"), 200, JSON, openAiCall(promptTokens(1, 2)), Ending.COMPLETE);
            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));

            tap.feed(
                    post("/llm/ask"),
                    200,
                    EVENTS,
                    events(openAi("a", "null"), openAiFinish("null"), openAiUsageOnly(promptTokens(3, 4)), "[DONE]"),
                    Ending.CANCEL);
            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(3, 4));
        }

        @Test
        void aLongBodyThatNamesItselfEarlyIsBookedHoweverItIsCut() {
            String body = openAiCall(promptTokens(1, 2)).replace("\"ab\"", '"' + "x".repeat(200_000) + '"');
            byte[] bytes = body.getBytes(UTF_8);

            tap.feed(post("/llm/ask"), null, 200, JSON, List.of(bytes), Ending.COMPLETE);
            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));

            List<byte[]> pieces = new ArrayList<>();
            for (int at = 0; at < bytes.length; at += 1000) {
                pieces.add(Arrays.copyOfRange(bytes, at, Math.min(at + 1000, bytes.length)));
            }
            tap.feed(post("/llm/ask"), null, 200, JSON, pieces, Ending.COMPLETE);
            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));
        }

        @Test
        @DisplayName("T23: a big foreign document is given up early and the rest is not parsed")
        void bigForeignDocument() {
            Probe probe = new Probe(false);
            TapUnderTest probed = TapUnderTest.with(settings -> settings.dialect(probe));
            WireRequest request = open(probed, post("/api/export"));
            request.responded(200, JSON, null);
            String row = "{\"seen\":1,\"pad\":\"" + "x".repeat(1000) + "\"},";
            request.body(bytes("{\"rows\":["));
            int fed = 0;
            for (int i = 0; i < 1000; i++) {
                request.body(bytes(row));
                fed += row.length();
            }
            request.body(bytes("{}],\"object\":\"chat.completion\",\"usage\":" + promptTokens(1, 2) + "}"));
            request.completed();

            assertThat(fed).isGreaterThan(1_000_000);
            assertThat(probe.seen.get()).isBetween(60, 70);
            assertThat(probed.drain()).isEmpty();
        }

        @Test
        @DisplayName("T23: a long foreign stream is given up early and the rest is not parsed")
        void longForeignStream() {
            Probe probe = new Probe(false);
            TapUnderTest probed = TapUnderTest.with(settings -> settings.dialect(probe));
            WireRequest request = open(probed, post("/api/events"));
            request.responded(200, EVENTS, null);
            String event = events("{\"rows\":[{\"seen\":1}],\"pad\":\"" + "x".repeat(1000) + "\"}");
            for (int i = 0; i < 1000; i++) {
                request.body(bytes(event));
            }
            request.body(bytes(events(openAi("a", promptTokens(1, 2)))));
            request.completed();

            assertThat(probe.seen.get()).isBetween(60, 70);
            assertThat(probed.drain()).isEmpty();
        }

        @Test
        void anExpectedBodyIsReadHoweverLongItIs() {
            StringBuilder stream = new StringBuilder();
            for (int i = 0; i < 1000; i++) {
                stream.append(": ").append("x".repeat(100)).append("\n\n");
            }
            stream.append(events(openAiFinish(promptTokens(1, 2))));

            assertThat(tap.openAiStream(stream.toString(), Ending.COMPLETE).usage())
                    .isEqualTo(TokenUsage.of(1, 2));
        }
    }

    @Nested
    class HttpErrors {

        @ParameterizedTest
        @DisplayName("an error status is a rejected request that costs nothing")
        @ValueSource(ints = {400, 401, 403, 404, 413, 422, 429, 500, 503, 529})
        void rejected(int status) {
            for (Ending ending : Ending.values()) {
                tap.feed(post(OPENAI_PATH), status, JSON, "{\"error\":{\"message\":\"no\"}}", ending);
                assertRejected(tap.only());
                tap.feed(post(DASHSCOPE_PATH), status, JSON, "{\"code\":\"no\",\"request_id\":\"R1\"}", ending);
                assertRejected(tap.only());
                tap.feed(post(OPENAI_PATH), status, "text/html", "<html>no</html>", ending);
                assertRejected(tap.only());
                tap.feed(post(OPENAI_PATH), status, null, "", ending);
                assertRejected(tap.only());
            }
        }

        private void assertRejected(RequestUsage request) {
            assertThat(request.outcome()).isEqualTo(REJECTED);
            assertThat(request.source()).isEqualTo(REPORTED);
            assertThat(request.usage()).isEqualTo(TokenUsage.ZERO);
        }

        @ParameterizedTest
        @DisplayName("T7: a timeout on the server's side leaves open what was billed")
        @ValueSource(ints = {408, 499, 502, 504, 520, 524, 527})
        void serverTimeout(int status) {
            tap.feed(post(OPENAI_PATH), status, JSON, "{\"error\":{\"message\":\"no\"}}", Ending.COMPLETE);

            RequestUsage request = tap.only();
            assertThat(request.outcome()).isEqualTo(FAILED);
            assertThat(request.source()).isEqualTo(MISSING);
            assertThat(request.usage()).isNull();
        }

        @ParameterizedTest
        @ValueSource(ints = {301, 302, 307, 308})
        void aRedirectThatTheClientDoesNotFollowCostsNothing(int status) {
            tap.feed(post(OPENAI_PATH), status, null, "", Ending.COMPLETE);

            assertRejected(tap.only());
        }

        @Test
        void anErrorThatReportsUsageAllTheSameIsBelieved() {
            tap.feed(post(OPENAI_PATH), 500, JSON, openAiCall(promptTokens(5, 6)), Ending.COMPLETE);

            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(5, 6));
        }
    }

    @Nested
    class JunkFigures {

        @ParameterizedTest
        @DisplayName("T14, T17: what is no count is as if it were not there")
        @ValueSource(
                strings = {
                    "null",
                    "-1",
                    "-9223372036854775808",
                    "\"12\"",
                    "\"\"",
                    "true",
                    "1e300",
                    "-1e300",
                    "1e400",
                    "0.5",
                    "12.7",
                    "9223372036854775808",
                    "99999999999999999999999999999999999999999",
                    "{}",
                    "[]",
                    "[5]",
                    "{\"prompt_tokens\":5}"
                })
        void whatIsNoCount(String junk) {
            long failures = MeasuringFailures.count();
            String usage = """
                    {"prompt_tokens":%s,"completion_tokens":%s,"total_tokens":%s,"prompt_tokens_details":{"cached_tokens":%s},"completion_tokens_details":%s}""".formatted(junk, junk, junk, junk, junk);
            String nativeUsage = """
                    {"input_tokens":%s,"output_tokens":%s,"total_tokens":%s,"cached_tokens":%s,"prompt_tokens_details":{"cached_tokens":%s,"cache_creation":{"ephemeral_5m_input_tokens":%s}}}""".formatted(junk, junk, junk, junk, junk, junk);

            assertMissing(tap.openAiCall(openAiCall(usage)));
            assertMissing(tap.openAiStream(events(openAiFinish(usage), "[DONE]"), Ending.CANCEL));
            assertMissing(tap.dashScopeCall(dashScope("a", "stop", nativeUsage)));
            assertMissing(tap.dashScopeStream(dashScopeEvents(dashScope("a", "stop", nativeUsage)), Ending.COMPLETE));
            assertThat(MeasuringFailures.count()).isEqualTo(failures);
        }

        private void assertMissing(RequestUsage request) {
            assertThat(request.usage()).isNull();
            assertThat(request.source()).isEqualTo(MISSING);
            assertThat(request.outcome()).isEqualTo(COMPLETED);
        }

        @Test
        @DisplayName("T17: counts beyond an int, and whole numbers in other writings, are counts")
        void unusualCounts() {
            String usage = "{\"prompt_tokens\":5000000000,\"completion_tokens\":7.0,\"total_tokens\":5e9}";

            TokenUsage read = tap.openAiCall(openAiCall(usage)).usage();

            assertThat(read.inputTokens()).isEqualTo(5_000_000_000L);
            assertThat(read.outputTokens()).isEqualTo(7);
            assertThat(read.totalTokens()).isEqualTo(5_000_000_000L);
        }

        @ParameterizedTest
        @DisplayName("T7: a response that says one side only is not passed off as complete")
        @CsvSource(
                delimiter = '|',
                value = {
                    "{\"prompt_tokens\":5,\"completion_tokens\":null,\"total_tokens\":12} | 5 | 0",
                    "{\"prompt_tokens\":\"5\",\"completion_tokens\":7} | 0 | 7",
                    "{\"total_tokens\":12} | 0 | 0"
                })
        void oneSideOnly(String usage, long input, long output) {
            RequestUsage call = tap.openAiCall(openAiCall(usage));
            assertThat(call.usage().inputTokens()).isEqualTo(input);
            assertThat(call.usage().outputTokens()).isEqualTo(output);
            assertThat(call.source()).isEqualTo(PARTIAL);

            RequestUsage stream = tap.openAiStream(events(openAiFinish(usage), "[DONE]"), Ending.CANCEL);
            assertThat(stream.usage()).isEqualTo(call.usage());
            assertThat(stream.source()).isEqualTo(PARTIAL);

            String nativeUsage =
                    usage.replace("prompt_tokens", "input_tokens").replace("completion_tokens", "output_tokens");
            assertThat(tap.dashScopeCall(dashScope("a", "stop", nativeUsage)).source())
                    .isEqualTo(PARTIAL);
        }

        @Test
        void aLaterFrameThatLeavesASideOutKeepsTheEarlierOne() {
            RequestUsage request = tap.openAiStream(
                    events(
                            openAi("a", promptTokens(5, 1)),
                            openAiFinish("{\"prompt_tokens\":null,\"completion_tokens\":7}"),
                            "[DONE]"),
                    Ending.CANCEL);

            assertThat(request.usage().inputTokens()).isEqualTo(5);
            assertThat(request.usage().outputTokens()).isEqualTo(7);
            assertThat(request.source()).isEqualTo(REPORTED);
        }

        @Test
        void aPartThatIsGreaterThanItsWholeIsLeftOut() {
            String usage = """
                    {"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":11,"audio_tokens":10},"completion_tokens_details":{"reasoning_tokens":6}}""";

            assertThat(tap.openAiCall(openAiCall(usage)).usage())
                    .isEqualTo(TokenUsage.builder()
                            .inputTokens(10)
                            .outputTokens(5)
                            .part(TokenPart.AUDIO_INPUT, 10)
                            .build());
        }

        @Test
        @DisplayName("T17: sums beyond a long stay at its greatest value")
        void sumsBeyondALong() {
            String huge = """
                    {"input_tokens":5,"output_tokens":9000000000000000000,"total_tokens":9000000000000000000,"output_tokens_details":{"reasoning_tokens":9000000000000000000}}""";

            RequestUsage request = tap.dashScopeStream(
                    dashScopeEvents(dashScope(0, "a", "stop", huge), dashScope(1, "a", "stop", huge)), Ending.COMPLETE);

            assertThat(request.usage().outputTokens()).isEqualTo(Long.MAX_VALUE);
            assertThat(request.usage().reasoningOutputTokens()).hasValue(Long.MAX_VALUE);

            String details = """
                    {"input_tokens_details":{"text_tokens":9000000000000000000,"image_tokens":9000000000000000000},"output_tokens":1}""";
            assertThat(tap.dashScopeCall(dashScope("a", "stop", details))
                            .usage()
                            .inputTokens())
                    .isEqualTo(Long.MAX_VALUE);
        }

        @Test
        void junkIndexesOfChoicesDoNoHarm() {
            for (String index : List.of("-1", "null", "\"a\"", "99999999999", "2147483647", "1e300")) {
                String chunk = openAiFinish(promptTokens(1, 2)).replace("\"index\":0", "\"index\":" + index);
                RequestUsage request = tap.openAiStream(events(chunk, "[DONE]"), Ending.CANCEL);

                assertThat(request.usage()).as(index).isEqualTo(TokenUsage.of(1, 2));
                assertThat(request.outcome()).as(index).isEqualTo(COMPLETED);
            }
        }
    }

    @Nested
    class WhatCannotBeRead {

        @ParameterizedTest
        @ValueSource(strings = {"\uFEFF", "\uFEFF \r\n", " \t\n", ""})
        @DisplayName("a byte order mark and blanks before a document do not matter, in whatever pieces they come")
        void beforeTheDocument(String before) {
            byte[] body = (before + openAiCall(promptTokens(3, 4))).getBytes(UTF_8);
            List<byte[]> singly = new ArrayList<>();
            for (byte b : body) {
                singly.add(new byte[] {b});
            }

            tap.feed(post(OPENAI_PATH), null, 200, JSON, singly, Ending.COMPLETE);

            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(3, 4));
        }

        @ParameterizedTest
        @ValueSource(
                strings = {
                    "{\"usage\":",
                    "{\"usage\":{\"a\"}}",
                    "not json",
                    "{\"usage\":{\"input_tokens\":01}}",
                    "\u0000\u0001"
                })
        void aMalformedFrameIsCountedAndTheRestStillCounts(String malformed) {
            RequestUsage request = tap.dashScopeStream(
                    dashScopeEvents(
                            dashScope("a", "null", tokens(26, 1)), malformed, dashScope("b", "stop", tokens(26, 8))),
                    Ending.COMPLETE);

            assertThat(request.usage()).isEqualTo(TokenUsage.of(26, 8));
            assertThat(request.source()).isEqualTo(REPORTED);
            assertThat(tap.tap().unreadEvents()).isEqualTo(1);
        }

        @Test
        void aMalformedFrameGivesNoFigure() {
            String broken = dashScope("b", "null", tokens(26, 8)).replace(",\"request_id\"", ",,\"request_id\"");

            RequestUsage request = tap.dashScopeStream(
                    dashScopeEvents(dashScope("a", "null", tokens(26, 1)), broken), Ending.COMPLETE);

            assertThat(request.usage()).isEqualTo(TokenUsage.of(26, 1));
            assertThat(request.source()).isEqualTo(PARTIAL);
        }

        @Test
        void anEventBeyondTheLimitIsCountedAndTheRestStillCounts() {
            TapUnderTest small = TapUnderTest.with(settings -> settings.maxEventBytes(1024));

            RequestUsage request = small.openAiStream(
                    events(
                            openAi("a", "null"),
                            openAi("x".repeat(2000), promptTokens(1, 1)),
                            openAiFinish("null"),
                            openAiUsageOnly(promptTokens(7, 8)),
                            "[DONE]"),
                    Ending.COMPLETE);

            assertThat(request.usage()).isEqualTo(TokenUsage.of(7, 8));
            assertThat(request.outcome()).isEqualTo(COMPLETED);
            assertThat(small.tap().unreadEvents()).isEqualTo(1);
        }

        @Test
        void aDocumentWithAStringBeyondTheLimitIsCountedAndMissing() {
            TapUnderTest small = TapUnderTest.with(settings -> settings.maxEventBytes(1024));

            RequestUsage request =
                    small.openAiCall(openAiCall(promptTokens(7, 8)).replace("\"ab\"", '"' + "x".repeat(30_000) + '"'));

            assertThat(request.source()).isEqualTo(MISSING);
            assertThat(request.outcome()).isEqualTo(COMPLETED);
            assertThat(small.tap().unreadEvents()).isEqualTo(1);
        }

        @ParameterizedTest
        @DisplayName("a body that the client has not decoded is missing")
        @ValueSource(strings = {"gzip", "br", "GZIP", "deflate, gzip"})
        void compressed(String encoding) {
            WireRequest request = open(tap, post(OPENAI_PATH));
            request.responded(200, JSON, encoding);
            request.body(bytes(openAiCall(promptTokens(1, 2))));
            request.completed();

            RequestUsage booked = tap.only();
            assertThat(booked.source()).isEqualTo(MISSING);
            assertThat(booked.outcome()).isEqualTo(COMPLETED);
            assertThat(tap.recorder().processSum().isComplete()).isFalse();
        }

        @ParameterizedTest
        @ValueSource(strings = {"", "identity", "Identity"})
        void anEncodingThatIsNoneIsRead(String encoding) {
            WireRequest request = open(tap, post(OPENAI_PATH));
            request.responded(200, JSON, encoding);
            request.body(bytes(openAiCall(promptTokens(1, 2))));
            request.completed();

            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));
        }

        @ParameterizedTest
        @CsvSource(
                delimiter = '|',
                nullValues = "none",
                value = {
                    "text/html | COMPLETE | COMPLETED",
                    "none | COMPLETE | COMPLETED",
                    "text/html | CANCEL | CANCELLED",
                    "text/html | RESET | FAILED"
                })
        void aBodyOfAnotherTypeIsMissing(String type, Ending ending, RequestOutcome outcome) {
            tap.feed(post(OPENAI_PATH), 200, type, openAiCall(promptTokens(1, 2)), ending);

            RequestUsage booked = tap.only();
            assertThat(booked.source()).isEqualTo(MISSING);
            assertThat(booked.outcome()).isEqualTo(outcome);
        }

        @ParameterizedTest
        @ValueSource(strings = {"application/json;charset=UTF-8", "APPLICATION/JSON", "application/vnd.x+json"})
        void jsonByAnyNameIsRead(String type) {
            tap.feed(post(OPENAI_PATH), 200, type, openAiCall(promptTokens(1, 2)), Ending.COMPLETE);

            assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));
        }

        @Test
        void aDocumentThatIsCutIsMissingAndOneFollowedByMoreIsNot() {
            String body = openAiCall(promptTokens(1, 2));
            tap.feed(post(OPENAI_PATH), 200, JSON, body.substring(0, body.length() - 1), Ending.COMPLETE);
            assertThat(tap.only()).satisfies(request -> {
                assertThat(request.source()).isEqualTo(MISSING);
                assertThat(request.outcome()).isEqualTo(TRUNCATED);
            });

            tap.feed(post(OPENAI_PATH), 200, JSON, body + "\n{\"usage\":" + promptTokens(8, 9) + "}", Ending.CANCEL);
            assertThat(tap.only()).satisfies(request -> {
                assertThat(request.usage()).isEqualTo(TokenUsage.of(1, 2));
                assertThat(request.source()).isEqualTo(REPORTED);
                assertThat(request.outcome()).isEqualTo(COMPLETED);
            });
        }
    }

    @Nested
    class Ends {

        @Test
        @DisplayName("T8: whichever end comes first books, and no other")
        void once() {
            for (Ending first : Ending.values()) {
                for (Ending second : Ending.values()) {
                    WireRequest request = open(tap, post(OPENAI_PATH));
                    request.responded(200, JSON, null);
                    request.body(bytes(openAiCall(promptTokens(1, 2))));
                    TapUnderTest.end(request, first);
                    TapUnderTest.end(request, second);
                    request.abandon();
                    request.body(bytes("{}"));
                    request.failedToSend(new ConnectException());

                    assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(1, 2));
                }
            }
        }

        @Test
        void oneOfManyEndsThatRaceBooks() throws Exception {
            ExecutorService threads = Executors.newFixedThreadPool(4);
            try {
                for (int i = 0; i < 500; i++) {
                    WireRequest request = open(tap, post(OPENAI_PATH));
                    request.responded(200, EVENTS, null);
                    CountDownLatch start = new CountDownLatch(1);
                    CountDownLatch done = new CountDownLatch(4);
                    List<Runnable> actors = List.of(
                            () -> request.body(bytes(events(openAiFinish(promptTokens(1, 2)), "[DONE]"))),
                            request::completed,
                            request::cancelled,
                            request::failed);
                    for (Runnable actor : actors) {
                        threads.execute(() -> {
                            try {
                                start.await();
                                actor.run();
                            } catch (InterruptedException impossible) {
                                Thread.currentThread().interrupt();
                            } finally {
                                done.countDown();
                            }
                        });
                    }
                    start.countDown();
                    assertThat(done.await(30, TimeUnit.SECONDS)).isTrue();

                    RequestUsage booked = tap.only();
                    assertThat(booked.usage() == null || booked.usage().equals(TokenUsage.of(1, 2)))
                            .isTrue();
                }
            } finally {
                threads.shutdownNow();
            }
        }

        @ParameterizedTest
        @DisplayName("T7: a request that ends before any response is missing")
        @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
        void beforeTheResponse(Ending ending, RequestOutcome outcome) {
            WireRequest request = open(tap, post(OPENAI_PATH));
            TapUnderTest.end(request, ending);

            RequestUsage booked = tap.only();
            assertThat(booked.source()).isEqualTo(MISSING);
            assertThat(booked.outcome()).isEqualTo(outcome);
            assertThat(booked.provider()).isEqualTo("openai");
            assertThat(booked.timeToFirstChunk()).isNull();
        }

        @Test
        void aRequestThatWasNeverSentIsNotBooked() {
            List<Throwable> errors = List.of(
                    new ConnectException(),
                    new NoRouteToHostException(),
                    new UnknownHostException(),
                    new UnresolvedAddressException(),
                    new HttpConnectTimeoutException("slow"),
                    new SSLHandshakeException("unknown authority"),
                    new IllegalStateException(new IOException(new ConnectException())));
            for (Throwable error : errors) {
                WireRequest request = open(tap, post(OPENAI_PATH));
                request.failedToSend(error);
                request.completed();

                assertThat(tap.drain()).as(error.toString()).isEmpty();
            }
        }

        @Test
        void aRequestThatMayHaveBeenSentIsMissing() {
            Throwable circle = new IOException("reset");
            circle.initCause(new IOException(circle));
            for (Throwable error : List.of(new SocketTimeoutException(), new SocketException("reset"), circle)) {
                open(tap, post(OPENAI_PATH)).failedToSend(error);

                assertThat(tap.only().source()).as(error.toString()).isEqualTo(MISSING);
            }
        }

        @Test
        void timesAreMeasuredFromTheStart() {
            Instant before = Instant.now();
            RequestUsage request = tap.openAiCall(openAiCall(promptTokens(1, 2)));

            assertThat(request.start()).isBetween(before, Instant.now());
            assertThat(request.timeToFirstChunk()).isNotNull().isLessThanOrEqualTo(request.duration());
        }

        @Test
        void isBookedToItsRunWithTheScopesLabels() {
            RunScope run = RunScope.start("run-1").withAgent("a").withNode("n").withRound(3);
            ModelCall call = ModelCall.open(run, "gpt-asked");
            tap.feed(
                    post(OPENAI_PATH),
                    call,
                    200,
                    JSON,
                    List.of(openAiCall(promptTokens(1, 2)).getBytes(UTF_8)),
                    Ending.COMPLETE);

            RequestUsage request = tap.only();
            assertThat(run.usage().requests()).containsExactly(request);
            assertThat(request.runId()).isEqualTo("run-1");
            assertThat(request.agent()).isEqualTo("a");
            assertThat(request.node()).isEqualTo("n");
            assertThat(request.round()).isEqualTo(3);
            assertThat(request.attempt()).isEqualTo(1);
            assertThat(request.callId()).isNotNull();
            assertThat(request.requestModel()).isEqualTo("gpt-asked");
            assertThat(request.responseModel()).isEqualTo("gpt-x");
        }

        @Test
        void withoutARunItIsInTheProcessTotalsAndUnattributed() {
            tap.openAiCall(openAiCall(promptTokens(1, 2)));

            assertThat(tap.recorder().processSum().total()).isEqualTo(TokenUsage.of(1, 2));
            assertThat(tap.recorder().unattributed()).isEqualTo(1);
        }

        @Test
        void aCallThatEndsBooksWhatIsStillOpen() {
            List<RequestUsage> all = bookedForACall(tap, scope -> {
                WireRequest request = tap.tap().open(post(DASHSCOPE_PATH), scope);
                request.responded(200, EVENTS, null);
                request.body(bytes(dashScopeEvents(dashScope("a", "null", tokens(26, 5)))));
            });

            assertThat(all).hasSize(1);
            RequestUsage booked = all.get(0);
            assertThat(booked.outcome()).isEqualTo(CANCELLED);
            assertThat(booked.source()).isEqualTo(PARTIAL);
            assertThat(booked.usage()).isEqualTo(TokenUsage.of(26, 5));
        }

        @Test
        void aForeignRequestInsideACallDoesNotTakeItsSlot() {
            List<RequestUsage> all = bookedForACall(
                    tap,
                    scope -> tap.feed(
                            post("/tools/weather"),
                            scope,
                            200,
                            JSON,
                            List.of("{\"usage\":1}".getBytes(UTF_8)),
                            Ending.COMPLETE));

            assertThat(all).hasSize(1);
            assertThat(all.get(0).provider()).as("what only the wire knows").isNull();
        }
    }

    @Nested
    class DialectsThatFail {

        @ParameterizedTest(name = "in {0}")
        @EnumSource(FailingDialect.Method.class)
        @DisplayName("T22: a dialect that throws changes nothing but its own figure, and loses no request")
        void aDialectThatThrows(FailingDialect.Method method) {
            String frame = "{\"object\":\"failing\",\"usage\":{\"tokens\":1}}";
            fails(method, EVENTS, events(frame, frame, "[DONE]"));
            // A document that is whole is final, and only a stream has an end mark and events that can be passed over.
            if (!Set.of("DONE", "WANTS", "IS_FINISHED", "IS_USAGE_FINAL").contains(method.name())) {
                fails(method, JSON, frame);
            }
        }

        private void fails(FailingDialect.Method method, String type, String body) {
            long failures = MeasuringFailures.count();
            TapUnderTest failing = TapUnderTest.with(settings -> settings.dialect(new FailingDialect(method)));

            List<RequestUsage> booked = bookedForACall(failing, scope -> {
                WireRequest request = failing.tap().open(post(FailingDialect.PATH), scope);
                assertThat(request).isNotNull();
                request.responded(200, type, null);
                request.body(bytes(body));
                request.completed();
            });

            assertThat(MeasuringFailures.count()).isGreaterThan(failures);
            assertThat(booked).hasSize(1);
        }

        @ParameterizedTest(name = "in {0}")
        @EnumSource(
                value = FailingDialect.Method.class,
                names = {"EXPECTS", "PATHS", "NEW_READING"})
        @DisplayName("T22: a dialect that cannot even begin does not take the others with it")
        void otherDialectsGoOn(FailingDialect.Method method) {
            TapUnderTest failing = TapUnderTest.with(settings -> settings.dialect(new FailingDialect(method)));

            assertThat(failing.openAiCall(openAiCall(promptTokens(1, 2))).usage())
                    .isEqualTo(TokenUsage.of(1, 2));
            failing.feed(post("/llm/ask"), 200, JSON, openAiCall(promptTokens(3, 4)), Ending.COMPLETE);
            assertThat(failing.only().usage()).isEqualTo(TokenUsage.of(3, 4));
        }

        @Test
        @DisplayName("T22: a dialect that cannot even begin is missing on a path that it expects")
        void missingWhereItIsExpected() {
            TapUnderTest failing = TapUnderTest.with(
                    settings -> settings.dialect(new FailingDialect(FailingDialect.Method.NEW_READING)));

            failing.feed(post(FailingDialect.PATH), 200, JSON, "{}", Ending.COMPLETE);

            assertThat(failing.only().source()).isEqualTo(MISSING);
        }

        @Test
        @DisplayName("T22: a sink that throws is passed over")
        void aSinkThatThrows() {
            List<RequestUsage> booked = new ArrayList<>();
            WireTap throwing = WireTap.builder()
                    .recorder(UsageRecorder.withSinks(
                            request -> {
                                throw new IllegalStateException("sink");
                            },
                            booked::add))
                    .build();
            WireRequest request = throwing.open(post(OPENAI_PATH), null);
            request.responded(200, JSON, null);
            request.body(bytes(openAiCall(promptTokens(1, 2))));
            request.completed();

            assertThat(booked).hasSize(1);
        }

        @Test
        void aDialectThatIsAddedIsAskedFirst() {
            Probe probe = new Probe(true);
            TapUnderTest probed = TapUnderTest.with(settings -> settings.dialect(probe));

            probed.feed(post(OPENAI_PATH), 200, JSON, "{\"rows\":[{\"seen\":1}]}", Ending.COMPLETE);

            assertThat(probed.only().provider()).isEqualTo("probe");
        }
    }

    @Test
    void theLimitOnAnEventHasALeastValue() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> WireTap.builder().maxEventBytes(1023))
                .withMessageContaining("1024")
                .withMessageContaining("1023");
    }

    /** Counts the places that it is shown. */
    private static final class Probe implements Dialect {

        final AtomicInteger seen = new AtomicInteger();
        private final boolean expects;

        Probe(boolean expects) {
            this.expects = expects;
        }

        @Override
        public String provider() {
            return "probe";
        }

        @Override
        public boolean expects(RequestHead request) {
            return expects;
        }

        @Override
        public FieldPaths paths() {
            return FieldPaths.of("rows[].seen");
        }

        @Override
        public ResponseReading newReading() {
            return new ResponseReading() {
                @Override
                public void value(String path, JsonParser value) throws IOException {
                    seen.incrementAndGet();
                }

                @Override
                public boolean recognised(boolean expected) {
                    return expected;
                }

                @Override
                public boolean isFinished() {
                    return true;
                }

                @Override
                public boolean isUsageFinal() {
                    return true;
                }

                @Override
                public TokenUsage usage() {
                    return TokenUsage.of(1, 1);
                }
            };
        }
    }
}
