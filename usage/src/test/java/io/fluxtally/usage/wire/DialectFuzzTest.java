package io.fluxtally.usage.wire;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.FuzzedFamily.Answer;
import io.fluxtally.usage.wire.TapUnderTest.Ending;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Each dialect against bytes that a fuzzer thinks of: as a body, and as decisions on how a valid body is written.
 *
 * <p>Without {@code JAZZER_FUZZ} in the environment, the fuzz tests run over the inputs under {@code src/test/resources}
 * only; CONTRIBUTING.md has the command that fuzzes.
 */
class DialectFuzzTest {

    private static final String[] TYPES = {
        TapUnderTest.JSON,
        TapUnderTest.EVENTS,
        "application/x-ndjson",
        "application/json-seq",
        "application/jsonl",
        "application/vnd.x+json",
        "text/plain",
        Messages.CONTENT_TYPE
    };

    private static final int SMALL_LIMIT = 1024;

    /** How often each is run when it fuzzes: some minutes. */
    private static final long EXECUTIONS = 200_000;

    private final TapUnderTest tap = TapUnderTest.create();
    private final TapUnderTest small = TapUnderTest.with(settings -> settings.maxEventBytes(SMALL_LIMIT));

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void dashScope(byte[] input) {
        fuzz(FuzzedFamily.DASHSCOPE, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void openAi(byte[] input) {
        fuzz(FuzzedFamily.OPENAI, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void responses(byte[] input) {
        fuzz(FuzzedFamily.RESPONSES, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void anthropic(byte[] input) {
        fuzz(FuzzedFamily.ANTHROPIC, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void gemini(byte[] input) {
        fuzz(FuzzedFamily.GEMINI, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void ollama(byte[] input) {
        fuzz(FuzzedFamily.OLLAMA, input);
    }

    @FuzzTest(maxExecutions = EXECUTIONS, maxDuration = "")
    void bedrock(byte[] input) {
        fuzz(FuzzedFamily.BEDROCK, input);
    }

    @ParameterizedTest
    @EnumSource(FuzzedFamily.class)
    @DisplayName("what a fuzzer would ask, asked by a generator: no junk around a valid body changes its figure")
    void generated(FuzzedFamily family) {
        for (int seed = 0; seed < 1000; seed++) {
            Random random = new Random(seed);
            byte[] input = new byte[1 + random.nextInt(800)];
            random.nextBytes(input);
            // Bytes alone are seldom more than noise to a parser; most inputs are decisions.
            input[0] = (byte) (seed % 8 == 0 ? '0' : '1');
            try {
                fuzz(family, input);
            } catch (Throwable failure) {
                throw new AssertionError("seed " + seed, failure);
            }
        }
    }

    /** The first byte decides what the others are: a body, or decisions on how to write one. */
    private void fuzz(FuzzedFamily family, byte[] input) {
        FuzzInput in = new FuzzInput(input);
        long failures = MeasuringFailures.count();
        if (in.below(2) == 0) {
            anyBody(family, in);
        } else {
            validBody(family, in);
        }
        assertThat(MeasuringFailures.count()).as("failures of the measuring").isEqualTo(failures);
    }

    private static void assertFewReported(RequestUsage request) {
        assertThat(request.reported()).hasSizeLessThanOrEqualTo(64);
        assertThat(request.reported().keySet()).allMatch(name -> name.length() < 256);
    }

    private void anyBody(FuzzedFamily family, FuzzInput in) {
        String type = in.oneOf(TYPES);
        Ending ending = in.oneOf(Ending.values());
        int seed = in.below(256);

        // Often enough to go beyond the limit.
        int times = 1 + in.below(16);
        byte[] once = in.rest();
        ByteBuffer body = ByteBuffer.allocate(once.length * times);
        while (body.hasRemaining()) {
            body.put(once);
        }

        feed(small, family, type, body.array(), new Random(seed), ending);

        RequestUsage request = small.only();
        assertFewReported(request);
        assertThat(request.usage() == null).isEqualTo(request.source() == UsageSource.MISSING);
    }

    private void validBody(FuzzedFamily family, FuzzInput in) {
        int seed = in.below(256);
        Ending ending = in.oneOf(Ending.values());
        int cut = in.onceIn(4) ? in.below(65536) : Integer.MAX_VALUE;
        Answer answer = family.answer(in);
        byte[] body = answer.body();
        boolean whole = cut >= body.length;

        feed(tap, family, answer.type(), whole ? body : Arrays.copyOf(body, cut), new Random(seed), ending);

        RequestUsage request = tap.only();
        assertFewReported(request);
        if (whole) {
            assertThat(request.usage()).as("usage of %s", answer).isEqualTo(answer.usage());
            assertThat(request.outcome()).as("outcome of %s", answer).isEqualTo(RequestOutcome.COMPLETED);
        }
        if (whole) {
            assertThat(request.reported()).as("figures of %s", answer).containsEntry(answer.field(), answer.figure());
        }
        if (whole && !answer.garbled()) {
            assertThat(request.source()).as("source of %s", answer).isEqualTo(UsageSource.REPORTED);
        }
        if (request.source() == UsageSource.REPORTED) {
            assertThat(request.usage()).as("usage of %s cut at %d", answer, cut).isEqualTo(answer.usage());
        }
    }

    /** Feeds a body in pieces of any size; what the tap holds of it never exceeds its limit. */
    private static void feed(
            TapUnderTest tap, FuzzedFamily family, String type, byte[] body, Random random, Ending ending) {
        WireRequest request = tap.tap().open(TapUnderTest.post(family.path()), null);
        request.responded(200, type, null);
        int most = List.of(1, 3, 50, 5000, Integer.MAX_VALUE).get(random.nextInt(5));
        for (int at = 0; at < body.length; ) {
            int length = Math.min(body.length - at, 1 + random.nextInt(most));
            request.body(ByteBuffer.wrap(body, at, length));
            assertThat(request.heldBytes())
                    .as("bytes held")
                    .isLessThanOrEqualTo(tap.tap().maxEventBytes());
            at += length;
        }
        TapUnderTest.end(request, ending);
    }
}
