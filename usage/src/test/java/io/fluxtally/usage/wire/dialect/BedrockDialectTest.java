package io.fluxtally.usage.wire.dialect;

import static io.fluxtally.usage.RequestOutcome.COMPLETED;
import static io.fluxtally.usage.RequestOutcome.FAILED;
import static io.fluxtally.usage.RequestOutcome.REJECTED;
import static io.fluxtally.usage.UsageSource.MISSING;
import static io.fluxtally.usage.UsageSource.PARTIAL;
import static io.fluxtally.usage.UsageSource.REPORTED;
import static io.fluxtally.usage.wire.Messages.event;
import static io.fluxtally.usage.wire.Messages.exception;
import static io.fluxtally.usage.wire.Messages.join;
import static io.fluxtally.usage.wire.TapUnderTest.post;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.Messages;
import io.fluxtally.usage.wire.TapUnderTest;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import io.fluxtally.usage.wire.WireRequest;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class BedrockDialectTest {

    private static final String STREAM_PATH = "/model/us.x-3:0/converse-stream";
    private static final String CALL_PATH = "/model/us.x-3:0/converse";
    private static final String CACHED =
            "{\"inputTokens\":22,\"outputTokens\":55,\"totalTokens\":1205,\"cacheReadInputTokens\":1000,\"cacheWriteInputTokens\":128}";
    private static final TokenUsage CACHED_TOKENS = TokenUsage.builder()
            .inputTokens(1150)
            .outputTokens(55)
            .part(TokenPart.CACHE_READ_INPUT, 1000)
            .part(TokenPart.CACHE_CREATION_INPUT, 128)
            .build();

    private static final byte[] BEGINNING = join(
            event("messageStart", "{\"role\":\"assistant\"}"),
            event("contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"é漢😀\"}}"),
            event("contentBlockStop", "{\"contentBlockIndex\":0}"));
    private static final byte[] STOP = event("messageStop", "{\"stopReason\":\"end_turn\"}");
    private static final byte[] METADATA = metadata(CACHED);

    private final TapUnderTest tap = TapUnderTest.create();

    private static byte[] metadata(String usage) {
        return event("metadata", "{\"usage\":" + usage + ",\"metrics\":{\"latencyMs\":2040}}");
    }

    private static String converse(String usage) {
        return """
                {"metrics":{"latencyMs":1},"output":{"message":{"content":[{"text":"Hi"}],"role":"assistant"}},"stopReason":"end_turn","usage":%s}""".formatted(usage);
    }

    private RequestUsage stream(Ending ending, byte[]... pieces) {
        tap.feed(post(STREAM_PATH), null, 200, Messages.CONTENT_TYPE, List.of(pieces), ending);
        return tap.only();
    }

    private RequestUsage call(int status, String body) {
        tap.feed(post(CALL_PATH), status, TapUnderTest.JSON, body, Ending.COMPLETE);
        return tap.only();
    }

    private static void assertBooked(
            RequestUsage request, RequestOutcome outcome, UsageSource source, @Nullable TokenUsage usage) {
        assertThat(request.provider()).isEqualTo("bedrock");
        assertThat(request.requestModel()).isEqualTo("us.x-3:0");
        assertThat(request.outcome()).isEqualTo(outcome);
        assertThat(request.source()).isEqualTo(source);
        assertThat(request.usage()).isEqualTo(usage);
    }

    @ParameterizedTest
    @DisplayName("T13: the figures of a stream come at its end, what is cached is added to the input")
    @EnumSource
    void wholeStream(Ending ending) {
        assertBooked(stream(ending, BEGINNING, STOP, METADATA), COMPLETED, REPORTED, CACHED_TOKENS);
    }

    @Test
    @DisplayName("T13: the figures of a call, what is cached is added to the input")
    void wholeCall() {
        assertBooked(call(200, converse(CACHED)), COMPLETED, REPORTED, CACHED_TOKENS);
    }

    @Test
    @DisplayName(
            "T14: cached tokens that are not reported are absent, and a total without the cached ones is not taken")
    void parts() {
        assertBooked(
                call(200, converse("{\"inputTokens\":22,\"outputTokens\":55,\"totalTokens\":77}")),
                COMPLETED,
                REPORTED,
                TokenUsage.builder().inputTokens(22).outputTokens(55).build());
        assertBooked(call(200, converse(CACHED.replace("1205", "77"))), COMPLETED, REPORTED, CACHED_TOKENS);
        assertThat(call(200, converse("{\"inputTokens\":22,\"outputTokens\":55,\"totalTokens\":80}"))
                        .usage()
                        .totalTokens())
                .isEqualTo(80);
    }

    @Test
    @DisplayName("a stream gives the same figures wherever it is cut in two")
    void everyCut() {
        byte[] whole = join(BEGINNING, STOP, METADATA);
        for (int cut = 0; cut <= whole.length; cut++) {
            assertBooked(
                    stream(Ending.COMPLETE, Arrays.copyOf(whole, cut), Arrays.copyOfRange(whole, cut, whole.length)),
                    COMPLETED,
                    REPORTED,
                    CACHED_TOKENS);
        }
        assertThat(tap.tap().unreadEvents()).isZero();
    }

    @ParameterizedTest
    @DisplayName("T7: of a stream that ends anywhere before its figures, nothing is known")
    @CsvSource({"COMPLETE, TRUNCATED", "RESET, FAILED", "CANCEL, CANCELLED"})
    void everyPrefix(Ending ending, RequestOutcome outcome) {
        byte[] beforeFigures = join(BEGINNING, STOP, METADATA);
        int stopped = BEGINNING.length + STOP.length;
        for (int end = 0; end < beforeFigures.length; end++) {
            assertBooked(
                    stream(ending, Arrays.copyOf(beforeFigures, end)),
                    end < stopped ? outcome : COMPLETED,
                    MISSING,
                    null);
        }
    }

    @ParameterizedTest
    @DisplayName("T7: an exception in a stream fails it, whatever came before")
    @EnumSource
    void exceptions(Ending ending) {
        assertBooked(stream(ending, BEGINNING, exception("throttlingException")), FAILED, MISSING, null);
        assertBooked(stream(ending, exception("modelStreamErrorException")), FAILED, MISSING, null);
        assertBooked(
                stream(ending, BEGINNING, Messages.message("error", ":error-code", "500", "no JSON")),
                FAILED,
                MISSING,
                null);
    }

    @Test
    @DisplayName("an error status is a refusal, and a timeout is not")
    void errorStatus() {
        assertBooked(call(429, "{\"message\":\"slow down\"}"), REJECTED, REPORTED, TokenUsage.ZERO);
        assertBooked(call(504, "{\"message\":\"late\"}"), FAILED, MISSING, null);
    }

    @Test
    @DisplayName("figures of one side only are a lower bound, and junk is none")
    void junk() {
        assertThat(stream(Ending.COMPLETE, STOP, metadata("{\"outputTokens\":55}"))
                        .source())
                .isEqualTo(PARTIAL);
        assertBooked(
                stream(
                        Ending.COMPLETE,
                        STOP,
                        metadata("{\"inputTokens\":-1,\"outputTokens\":\"x\",\"totalTokens\":null}")),
                COMPLETED,
                MISSING,
                null);
        assertBooked(stream(Ending.COMPLETE, STOP, metadata("null")), COMPLETED, MISSING, null);
    }

    @Test
    @DisplayName("a message that cannot be read is counted, and the figures after it are read")
    void unreadMessage() {
        byte[] changed = event("contentBlockDelta", "{\"delta\":{\"text\":\"x\"}}");
        changed[changed.length - 6] ^= 1;
        byte[] noJson = event("contentBlockStart", "{\"start\":");

        assertBooked(
                stream(Ending.COMPLETE, BEGINNING, changed, noJson, STOP, METADATA),
                COMPLETED,
                REPORTED,
                CACHED_TOKENS);
        assertThat(tap.tap().unreadEvents()).isEqualTo(2);
    }

    @Test
    @DisplayName("T15: the model that a prompt router chose is the one that answers")
    void promptRouter() {
        String trace = "{\"promptRouter\":{\"invokedModelId\":\"arn:y\"}}";

        assertThat(stream(
                                Ending.COMPLETE,
                                STOP,
                                event("metadata", "{\"usage\":" + CACHED + ",\"trace\":" + trace + "}"))
                        .responseModel())
                .isEqualTo("arn:y");
        assertThat(call(200, converse(CACHED + ",\"trace\":" + trace)).responseModel())
                .isEqualTo("arn:y");
    }

    @ParameterizedTest
    @DisplayName("the model is what the path has between /model/ and the operation, slashes of an ARN included")
    @CsvSource({
        "/model/us.x-3:0/converse, us.x-3:0",
        "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.x-3:0/converse-stream, arn:aws:bedrock:us-east-1:1:inference-profile/us.x-3:0",
        "/proxy/model/m/converse, m"
    })
    void models(String path, String model) {
        assertThat(new BedrockDialect().requestModel(post(path))).isEqualTo(model);
        assertThat(new BedrockDialect().expects(post(path))).isTrue();
    }

    @ParameterizedTest
    @DisplayName("T23: other paths are not taken for it, whatever their answer")
    @ValueSource(
            strings = {"/model/m/invoke", "/model//converse", "/model/converse", "/converse", "/v1/converse-stream"})
    void foreignPaths(String path) {
        tap.feed(post(path), 200, TapUnderTest.JSON, converse(CACHED), Ending.COMPLETE);
        tap.feed(post(path), null, 200, Messages.CONTENT_TYPE, List.of(BEGINNING, STOP, METADATA), Ending.COMPLETE);

        assertThat(tap.drain()).isEmpty();
    }

    private static WireRequest opened(TapUnderTest tap, @Nullable ModelCall scope) {
        WireRequest request = tap.tap().open(post(STREAM_PATH), scope);
        assertThat(request).isNotNull();
        return request;
    }

    @Test
    @DisplayName("the id in the response's head is the request's, for one that is refused too")
    void idOfTheHead() {
        WireRequest answered = opened(tap, null);
        answered.responseId("req-1");
        answered.responded(200, Messages.CONTENT_TYPE, null);
        answered.body(ByteBuffer.wrap(METADATA));
        answered.completed();
        assertThat(tap.only().responseId()).isEqualTo("req-1");
        WireRequest refused = opened(tap, null);
        refused.responseId("req-2");
        refused.responded(400, TapUnderTest.JSON, null);
        refused.completed();
        assertThat(tap.only().responseId()).isEqualTo("req-2");
    }

    @Test
    @DisplayName("the tool calls that a response asks for are known as soon as they were read")
    void toolCalls() {
        WireRequest request = opened(tap, null);
        request.responded(200, Messages.CONTENT_TYPE, null);
        request.body(ByteBuffer.wrap(BEGINNING));
        assertThat(request.toolCallIds()).isEmpty();
        request.body(ByteBuffer.wrap(join(
                event("contentBlockStart", "{\"start\":{\"toolUse\":{\"toolUseId\":\"tool-1\",\"name\":\"f\"}}}"),
                event("contentBlockStart", "{\"start\":{\"toolUse\":{\"toolUseId\":\"tool-2\",\"name\":\"f\"}}}"))));
        assertThat(request.toolCallIds()).containsExactly("tool-1", "tool-2");
    }

    @Test
    @DisplayName("T7: a request that outlives its call is booked at its own end, and by nobody else")
    void outlivesItsCall() {
        RunScope run = RunScope.start();
        ModelCall call = ModelCall.open(run, "us.x-3:0");
        WireRequest request = opened(tap, call);
        request.outlivesCall();
        request.responded(200, Messages.CONTENT_TYPE, null);
        request.body(ByteBuffer.wrap(BEGINNING));

        assertThat(call.end()).isFalse();
        call.close();
        assertThat(tap.drain()).isEmpty();
        assertThat(run.usage().isComplete()).isFalse();
        request.body(ByteBuffer.wrap(join(STOP, METADATA)));
        request.completed();

        assertBooked(tap.only(), COMPLETED, REPORTED, CACHED_TOKENS);
        assertThat(run.usage().total()).isEqualTo(CACHED_TOKENS);
        assertThat(run.usage().isComplete()).isTrue();
    }
}
