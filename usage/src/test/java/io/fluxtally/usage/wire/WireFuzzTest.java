package io.fluxtally.usage.wire;

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
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.sun.management.ThreadMXBean;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Label;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Bytes that no provider would send, and pieces that no test would think of. */
class WireFuzzTest {

    private static final String LINES = "application/x-ndjson";

    private record Body(String path, String type, String text) {}

    private static final List<Body> VALID = List.of(
            new Body(
                    DASHSCOPE_PATH,
                    EVENTS,
                    dashScopeEvents(
                            dashScope("é漢😀", "null", tokens(26, 1)),
                            "{\"output\":{\"choices\":[]},\"usage\":{}}",
                            dashScope("", "stop", tokens(26, 8)))),
            new Body(
                    DASHSCOPE_PATH,
                    EVENTS,
                    "\uFEFF"
                            + dashScopeEvents(
                                            dashScope(0, "a", "null", tokens(100, 5)),
                                            dashScope(1, "b", "null", tokens(100, 7)))
                                    .replace("\n", "\r\n")),
            new Body(DASHSCOPE_PATH, JSON, """
                    {"output":{"choices":[{"finish_reason":"stop","message":{"content":[{"text":"漢😀\\u6f22"}]}}]},"usage":{"output_tokens_details":{"text_tokens":6},"input_tokens_details":{"text_tokens":16},"seconds":1},"request_id":"R1"}"""),
            new Body(
                    OPENAI_PATH,
                    EVENTS,
                    events(openAi("é漢😀", "null"), openAiFinish("null"), openAiUsageOnly("""
                                    {"prompt_tokens":24,"completion_tokens":1355,"prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":1084},"total_tokens":1379}"""), "[DONE]")),
            new Body(OPENAI_PATH, EVENTS, events(openAi("a", promptTokens(10, 11)), openAi("b", promptTokens(10, 12)))),
            new Body(OPENAI_PATH, JSON, "  \r\n" + openAiCall(promptTokens(123, 456)) + "\n\n"),
            new Body("/llm/ask", JSON, openAiCall(promptTokens(123, 456))),
            new Body("/v1/messages", EVENTS, events("""
                            {"type":"message_start","message":{"id":"msg_1","model":"claude-x","usage":{"input_tokens":2,"cache_creation_input_tokens":3057,"cache_read_input_tokens":0,"output_tokens":1}}}""", """
                            {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é漢😀"}}""", """
                            {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":6,"cache_creation_input_tokens":3326,"cache_read_input_tokens":6267,"output_tokens":30}}""", "{\"type\":\"message_stop\"}")),
            new Body("/v1/messages", JSON, """
                    {"id":"msg_1","type":"message","model":"claude-x","content":[],"stop_reason":"end_turn","usage":{"input_tokens":12,"output_tokens":30,"output_tokens_details":{"thinking_tokens":7}}}"""),
            new Body("/v1beta/models/gemini-x:streamGenerateContent", EVENTS, events("""
                            {"candidates":[{"content":{"parts":[{"text":"é漢😀"}]},"index":0}],"usageMetadata":{"promptTokenCount":12,"totalTokenCount":12},"responseId":"g1"}""", """
                            {"candidates":[{"index":0,"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":71,"toolUsePromptTokenCount":65,"thoughtsTokenCount":89,"totalTokenCount":237},"responseId":"g1"}""")),
            new Body("/v1/responses", EVENTS, events("""
                            {"type":"response.created","response":{"id":"resp_1","object":"response","model":"gpt-x","usage":null}}""", """
                            {"type":"response.completed","response":{"id":"resp_1","object":"response","model":"gpt-x","usage":{"input_tokens":12,"input_tokens_details":{"cached_tokens":8},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":32},"total_tokens":52}}}""")),
            new Body("/api/chat", LINES, """
                    {"model":"qwen-x","message":{"role":"assistant","content":"é漢😀"},"done":false}
                    {"model":"qwen-x","message":{"role":"assistant","content":""},"done":true,"prompt_eval_count":26,"eval_count":290}
                    """),
            new Body("/api/chat", JSON, """
                    {"model":"qwen-x","message":{"content":"晴"},"done":true,"prompt_eval_count":26,"eval_count":290}"""));

    private final TapUnderTest tap = TapUnderTest.create();

    static Stream<Arguments> validBodies() {
        return VALID.stream().flatMap(body -> Stream.of(Ending.values()).map(ending -> arguments(body, ending)));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("validBodies")
    @DisplayName("where a body is cut in two changes no figure")
    void everyCutInTwo(Body body, Ending ending) {
        byte[] bytes = body.text.getBytes(UTF_8);
        List<Object> whole = read(body, List.of(bytes), ending);
        assertThat(whole.get(0)).as("usage").isNotNull();

        for (int cut = 0; cut <= bytes.length; cut++) {
            List<byte[]> pieces = List.of(Arrays.copyOf(bytes, cut), Arrays.copyOfRange(bytes, cut, bytes.length));
            assertThat(read(body, pieces, ending)).as("cut at %d", cut).isEqualTo(whole);
        }
    }

    @Property(tries = 500)
    @Label("the pieces that a body comes in change no figure")
    void anyPieces(@ForAll("valid") int index, @ForAll("cuts") List<Double> cuts) {
        Body body = VALID.get(index);
        byte[] bytes = body.text.getBytes(UTF_8);

        assertThat(read(body, pieces(bytes, cuts), Ending.CANCEL)).isEqualTo(read(body, List.of(bytes), Ending.CANCEL));
    }

    private List<Object> read(Body body, List<byte[]> pieces, Ending ending) {
        tap.feed(post(body.path), null, 200, body.type, pieces, ending);
        RequestUsage request = tap.only();
        return Arrays.asList(
                request.usage(), request.source(), request.outcome(), request.responseId(), request.responseModel());
    }

    @Property(tries = 2000)
    @Label("any bytes in any pieces are borne without a failure, and booked once where a model was asked")
    void anyBytes(
            @ForAll @Size(max = 300) byte[] bytes,
            @ForAll("cuts") List<Double> cuts,
            @ForAll("head") Body head,
            @ForAll Ending ending) {
        bears(head, bytes, cuts, ending);
    }

    @Property(tries = 3000)
    @Label("any mutation of a valid body in any pieces is borne without a failure, and booked once")
    void anyMutation(
            @ForAll("valid") int index,
            @ForAll("mutations") List<Mutation> mutations,
            @ForAll("cuts") List<Double> cuts,
            @ForAll Ending ending) {
        byte[] bytes = VALID.get(index).text.getBytes(UTF_8);
        for (Mutation mutation : mutations) {
            bytes = mutation.apply(bytes);
        }
        bears(VALID.get(index), bytes, cuts, ending);
    }

    private void bears(Body head, byte[] bytes, List<Double> cuts, Ending ending) {
        long failures = MeasuringFailures.count();
        tap.drain();

        tap.feed(post(head.path), null, 200, head.type, pieces(bytes, cuts), ending);

        assertThat(MeasuringFailures.count()).as("failures of the measuring").isEqualTo(failures);
        List<RequestUsage> booked = tap.drain();
        if (head.path.equals("/llm/ask")) {
            assertThat(booked).hasSizeLessThanOrEqualTo(1);
        } else {
            assertThat(booked).hasSize(1);
        }
        for (RequestUsage request : booked) {
            TokenUsage usage = request.usage();
            assertThat(usage == null).isEqualTo(request.source() == UsageSource.MISSING);
        }
    }

    /** One change to a body. */
    record Mutation(int kind, double at, int length, byte b) {

        byte[] apply(byte[] bytes) {
            int from = (int) (at * bytes.length);
            int to = Math.min(bytes.length, from + length);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            out.write(bytes, 0, from);
            switch (kind) {
                case 0 -> {} // cut out
                case 1 -> { // twice
                    out.write(bytes, from, to - from);
                    out.write(bytes, from, to - from);
                }
                case 2 -> out.write(b); // replaced
                case 3 -> { // inserted
                    out.write(b);
                    out.write(bytes, from, to - from);
                }
                default -> { // cut off
                    return out.toByteArray();
                }
            }
            out.write(bytes, to, bytes.length - to);
            return out.toByteArray();
        }
    }

    @Provide
    Arbitrary<Integer> valid() {
        return Arbitraries.integers().between(0, VALID.size() - 1);
    }

    @Provide
    Arbitrary<Body> head() {
        return Arbitraries.of(VALID);
    }

    @Provide
    Arbitrary<List<Double>> cuts() {
        return Arbitraries.doubles().between(0, 1).list().ofMaxSize(10);
    }

    @Provide
    Arbitrary<List<Mutation>> mutations() {
        Arbitrary<Byte> likely = Arbitraries.of(
                        '{', '}', '[', ']', '"', ',', ':', '-', '9', 'e', '.', '\n', '\r', '\\', 'n')
                .map(c -> (byte) c.charValue());
        return Combinators.combine(
                        Arbitraries.integers().between(0, 4),
                        Arbitraries.doubles().between(0, 1),
                        Arbitraries.integers().between(0, 30),
                        Arbitraries.oneOf(likely, Arbitraries.bytes()))
                .as(Mutation::new)
                .list()
                .ofMinSize(1)
                .ofMaxSize(4);
    }

    static Stream<Arguments> endlessBodies() {
        return Stream.of(
                arguments("a string", JSON, "{\"choices\":[{\"x\":\"", "xxxxxxxx"),
                arguments("a string of escapes", JSON, "{\"choices\":[{\"x\":\"", "\\u00e9\\n"),
                arguments("a string of multi-byte characters", JSON, "{\"choices\":[{\"x\":\"", "漢😀"),
                arguments("a number", JSON, "{\"choices\":[", "11111111"),
                arguments("a fraction", JSON, "{\"choices\":[1.", "11111111"),
                arguments("an exponent", JSON, "{\"choices\":[1e", "11111111"),
                arguments("a name", JSON, "{\"", "nnnnnnnn"),
                arguments("arrays in arrays", JSON, "{\"choices\":", "[[[[[[[["),
                arguments("objects in objects", JSON, "", "{\"choices\":"),
                arguments("blanks", JSON, "{", "        "),
                arguments("elements", JSON, "{\"choices\":[{}", ",{\"index\":1}"),
                arguments("one event", EVENTS, "data: ", "xxxxxxxx"),
                arguments("one event of many lines", EVENTS, "", "data: x\ndata\n"),
                arguments("one line", LINES, "{\"x\":\"", "xxxxxxxx"),
                arguments("lines without number", LINES, "", "{\"done\":false}\n\n"),
                arguments("a comment", EVENTS, ": ", "xxxxxxxx"),
                arguments("a name of a field", EVENTS, "", "data"),
                arguments("empty lines", EVENTS, "", "\n\r\n\r"),
                arguments(
                        "events with many choices",
                        EVENTS,
                        "",
                        "data: {\"choices\":[{\"index\":1,\"finish_reason\":1},{\"index\":2147483647}]}\n\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("endlessBodies")
    @DisplayName("a body without end does not fill the memory")
    void endless(String what, String type, String start, String more) {
        int limit = 64 * 1024;
        TapUnderTest small = TapUnderTest.with(settings -> settings.maxEventBytes(limit));
        WireRequest request = small.tap().open(post(OPENAI_PATH), null);
        ByteBuffer piece = ByteBuffer.wrap(more.repeat(8192 / more.length() + 1).getBytes(UTF_8));
        request.responded(200, type, null);
        request.body(ByteBuffer.wrap(start.getBytes(UTF_8)));
        long pieces = 48L * 1024 * 1024 / piece.capacity();
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

        long greatest = 0;
        for (long i = 0; i < pieces; i++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            request.body(piece.clear());
            greatest = Math.max(greatest, threads.getCurrentThreadAllocatedBytes() - before);
        }
        request.cancelled();

        // What one piece makes the reader allocate never grows to what has passed before.
        assertThat(greatest).as("bytes allocated for one piece").isLessThan(4 * 1024 * 1024);
        assertThat(small.drain()).hasSize(1);
    }

    @Test
    @DisplayName("names without number in a document fill no table of names, and cost no figure")
    void endlessNames() {
        WireRequest request = tap.tap().open(post(OPENAI_PATH), null);
        request.responded(200, JSON, null);
        request.body(ByteBuffer.wrap("{\"x\":{\"name\":0".getBytes(UTF_8)));
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long greatest = 0;
        for (int piece = 0; piece < 1000; piece++) {
            StringBuilder names = new StringBuilder();
            for (int i = 0; i < 400; i++) {
                names.append(",\"unique_name_").append(piece * 400 + i).append("\":1");
            }
            ByteBuffer bytes = ByteBuffer.wrap(names.toString().getBytes(UTF_8));
            long before = threads.getCurrentThreadAllocatedBytes();
            request.body(bytes);
            greatest = Math.max(greatest, threads.getCurrentThreadAllocatedBytes() - before);
        }
        request.body(ByteBuffer.wrap(("},\"choices\":[],\"usage\":" + promptTokens(3, 4) + "}").getBytes(UTF_8)));
        request.completed();

        assertThat(greatest).as("bytes allocated for one piece").isLessThan(1024 * 1024);
        assertThat(tap.only().usage()).isEqualTo(TokenUsage.of(3, 4));
    }

    @Test
    @DisplayName("a DashScope stream with endless choices does not fill the memory")
    void endlessChoices() {
        WireRequest request = tap.tap().open(post(DASHSCOPE_PATH), null);
        request.responded(200, EVENTS, null);
        for (int i = 0; i < 20_000; i++) {
            request.body(ByteBuffer.wrap(
                    dashScopeEvents(dashScope(i, "a", "null", tokens(1, 1))).getBytes(UTF_8)));
        }
        request.cancelled();

        assertThat(tap.only().usage().outputTokens()).isLessThan(2000);
    }

    private static List<byte[]> pieces(byte[] bytes, List<Double> cuts) {
        int[] at = Stream.concat(cuts.stream().map(cut -> (int) (cut * bytes.length)), Stream.of(0, bytes.length))
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        List<byte[]> pieces = new ArrayList<>();
        for (int i = 1; i < at.length; i++) {
            pieces.add(Arrays.copyOfRange(bytes, at[i - 1], at[i]));
        }
        return pieces;
    }
}
