package io.fluxtally.ledger.intercept;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.ledger.intercept.BackfillReport.Difference;
import io.fluxtally.ledger.intercept.BackfillReport.Filled;
import io.fluxtally.ledger.intercept.BackfillReport.SumDifference;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayName("A backfill")
class BackfillTest {

    private static final Instant START = Instant.parse("2026-06-01T12:00:00Z");

    @TempDir
    private Path folder;

    private InterceptLog log(String... lines) throws IOException {
        return InterceptLog.read(Files.writeString(folder.resolve("log.jsonl"), String.join("\n", lines)));
    }

    private static String token(
            String id,
            @Nullable Long prompt,
            @Nullable Long cached,
            @Nullable Long completion,
            @Nullable Long reasoning) {
        Long total = prompt == null || completion == null ? null : prompt + completion;
        return ("{\"type\":\"token\",\"id\":\"%s\",\"prompt_tokens\":%s,\"cached_tokens\":%s,\"completion_tokens\":%s,"
                        + "\"reasoning_tokens\":%s,\"total_tokens\":%s}")
                .formatted(id, prompt, cached, completion, reasoning, total);
    }

    private static RequestUsage.Builder request(String id) {
        return RequestUsage.builder("r-" + id, START).runId("run").responseId(id);
    }

    private static RequestUsage reported(String id, TokenUsage usage) {
        return request(id).usage(usage, UsageSource.REPORTED).build();
    }

    @Test
    @DisplayName(
            "fills cached input and reasoning by response id, and then the run's sum is its requests', field by field")
    void fills() throws Exception {
        TokenUsage.Builder text =
                TokenUsage.builder().inputTokens(5_000).outputTokens(2_000).part(TokenPart.TEXT_INPUT, 4_000);
        RunUsage run = RunUsage.of(
                List.of(
                        reported("c-1", text.build()),
                        reported("c-2", TokenUsage.of(8_000, 3_000)),
                        reported("c-3", TokenUsage.of(6_000, 2_500))),
                2);
        Backfill backfill = Backfill.from(log(
                token("c-2", 8_000L, 4_864L, 3_000L, 896L),
                token("c-1", 5_000L, 0L, 1_000L, 1L),
                token("c-1", 5_000L, 0L, 2_000L, 640L),
                token("c-3", 6_000L, 5_120L, 2_500L, 512L)));

        RunUsage filled = backfill.apply(run);

        assertThat(filled.total())
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(19_000)
                        .outputTokens(7_500)
                        .part(TokenPart.CACHE_READ_INPUT, 9_984)
                        .part(TokenPart.REASONING_OUTPUT, 2_048)
                        .part(TokenPart.TEXT_INPUT, 4_000)
                        .build());
        assertThat(filled.total())
                .isEqualTo(
                        filled.requests().stream().map(RequestUsage::usage).reduce(TokenUsage.ZERO, TokenUsage::plus));
        assertThat(filled.sum().reportedBy(TokenPart.CACHE_READ_INPUT)).isEqualTo(3);
        assertThat(filled.inFlight()).isEqualTo(2);
        assertThat(filled.sum().isComplete()).isTrue();
        BackfillReport report = backfill.report();
        assertThat(report.agrees()).isTrue();
        assertThat(report.requests()).isEqualTo(3);
        assertThat(report.matched()).isEqualTo(3);
        assertThat(report.filled())
                .hasSize(6)
                .contains(
                        new Filled("r-c-1", "c-1", "cache_read_input_tokens", 0),
                        new Filled("r-c-1", "c-1", "reasoning_output_tokens", 640));
    }

    @Test
    @DisplayName("changes nothing of a request but what it lacked")
    void nothingElse() throws Exception {
        RequestUsage full = RequestUsage.builder("r", START)
                .runId("run")
                .callId("call")
                .responseId("c-1")
                .agent("agent")
                .node("node")
                .round(2)
                .attempt(3)
                .labels(Map.of("user", "u"))
                .provider("openai")
                .requestModel("asked")
                .responseModel("answered")
                .reported(Map.of("usage.prompt_tokens", 10L))
                .usage(
                        TokenUsage.builder()
                                .inputTokens(10)
                                .outputTokens(5)
                                .totalTokens(20)
                                .build(),
                        UsageSource.PARTIAL)
                .timeToFirstChunk(java.time.Duration.ofMillis(1))
                .duration(java.time.Duration.ofMillis(2))
                .build();

        RequestUsage filled =
                Backfill.from(log(token("c-1", 10L, 4L, 5L, null))).apply(full);

        assertThat(filled).usingRecursiveComparison().ignoringFields("usage").isEqualTo(full);
        assertThat(filled.usage())
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(10)
                        .outputTokens(5)
                        .totalTokens(20)
                        .part(TokenPart.CACHE_READ_INPUT, 4)
                        .build());
    }

    @Test
    @DisplayName("never replaces a figure that is there, higher or lower, and names each that differs")
    void differing() throws Exception {
        TokenUsage own = TokenUsage.builder()
                .inputTokens(100)
                .outputTokens(50)
                .part(TokenPart.CACHE_READ_INPUT, 40)
                .part(TokenPart.REASONING_OUTPUT, 0)
                .build();
        RequestUsage request = reported("c-1", own);
        Backfill backfill = Backfill.from(log(token("c-1", 100L, 60L, 70L, 30L)));

        assertThat(backfill.apply(request)).isSameAs(request);
        BackfillReport report = backfill.report();
        assertThat(report.filled()).isEmpty();
        assertThat(report.differing())
                .containsExactlyInAnyOrder(
                        new Difference("r-c-1", "c-1", "output_tokens", 50L, 70),
                        new Difference("r-c-1", "c-1", "total_tokens", 150L, 170),
                        new Difference("r-c-1", "c-1", "cache_read_input_tokens", 40L, 60),
                        new Difference("r-c-1", "c-1", "reasoning_output_tokens", 0L, 30));
        assertThat(report.sums())
                .containsExactly(
                        new SumDifference("output_tokens", 50L, 70L),
                        new SumDifference("total_tokens", 150L, 170L),
                        new SumDifference("cache_read_input_tokens", 40L, 60L),
                        new SumDifference("reasoning_output_tokens", 0L, 30L));
        assertThat(report.agrees()).isFalse();
    }

    @Test
    @DisplayName("does not fill a part in where the log means another whole, or where it exceeds the whole")
    void otherWhole() throws Exception {
        Backfill backfill = Backfill.from(
                log(token("c-1", 2L, 90L, 50L, 10L), "{\"type\":\"token\",\"id\":\"c-2\",\"cached_tokens\":101}"));

        RequestUsage first = backfill.apply(reported("c-1", TokenUsage.of(100, 50)));
        RequestUsage second = backfill.apply(reported("c-2", TokenUsage.of(100, 50)));

        assertThat(first.usage())
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(100)
                        .outputTokens(50)
                        .part(TokenPart.REASONING_OUTPUT, 10)
                        .build());
        assertThat(second.usage()).isEqualTo(TokenUsage.of(100, 50));
        assertThat(backfill.report().differing())
                .contains(
                        new Difference("r-c-1", "c-1", "input_tokens", 100L, 2),
                        new Difference("r-c-1", "c-1", "cache_read_input_tokens", null, 90),
                        new Difference("r-c-2", "c-2", "cache_read_input_tokens", null, 101));
    }

    @Test
    @DisplayName("keeps what is absent in the log absent in the request")
    void absentStaysAbsent() throws Exception {
        RequestUsage request = reported("c-1", TokenUsage.of(100, 50));

        assertThat(Backfill.from(log(token("c-1", 100L, null, 50L, null))).apply(request))
                .isSameAs(request);
    }

    @Test
    @DisplayName("names what is on one side only, and the fields in which the sums differ by it")
    void unmatched() throws Exception {
        RequestUsage unknown = reported("c-9", TokenUsage.of(7, 3));
        RequestUsage noId = RequestUsage.builder("r-none", START)
                .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                .build();
        Backfill backfill = Backfill.from(log(token("c-1", 10L, null, 5L, null), token("c-2", 20L, 3L, 5L, null)));

        backfill.apply(unknown);
        backfill.apply(noId);
        backfill.apply(reported("c-2", TokenUsage.of(20, 5)));

        BackfillReport report = backfill.report();
        assertThat(report.notLogged()).containsExactly("r-c-9", "r-none");
        assertThat(report.notBooked()).extracting(InterceptRecord::id).containsExactly("c-1");
        assertThat(report.matched()).isEqualTo(1);
        assertThat(report.sums())
                .containsExactly(
                        new SumDifference("input_tokens", 28L, 30L),
                        new SumDifference("output_tokens", 9L, 10L),
                        new SumDifference("total_tokens", 37L, 40L));
        assertThat(report.agrees()).isFalse();
    }

    @Test
    @DisplayName("gives one record to one request, so that a figure is not counted twice")
    void once() throws Exception {
        Backfill backfill = Backfill.from(log(token("c-1", 100L, 40L, 50L, null)));
        List<RequestUsage> both = new ArrayList<>();
        for (String id : List.of("first", "second")) {
            both.add(backfill.apply(RequestUsage.builder(id, START)
                    .responseId("c-1")
                    .usage(TokenUsage.of(100, 50), UsageSource.REPORTED)
                    .build()));
        }

        assertThat(both.get(0).usage().cacheReadInputTokens()).hasValue(40);
        assertThat(both.get(1).usage().cacheReadInputTokens()).isEmpty();
        assertThat(backfill.report().notLogged()).containsExactly("second");
    }

    @Test
    @DisplayName("T7: gives a request without a figure the log's, as one that may not be all")
    void missing() throws Exception {
        Backfill backfill = Backfill.from(
                log(token("c-1", 100L, 40L, 50L, 0L), "{\"type\":\"token\",\"id\":\"c-2\",\"completion_tokens\":5}"));

        RequestUsage filled = backfill.apply(request("c-1").build());
        RequestUsage still = backfill.apply(request("c-2").build());

        assertThat(filled.source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(filled.usage())
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(100)
                        .outputTokens(50)
                        .part(TokenPart.CACHE_READ_INPUT, 40)
                        .part(TokenPart.REASONING_OUTPUT, 0)
                        .build());
        assertThat(still.source()).isEqualTo(UsageSource.MISSING);
        assertThat(backfill.report().filled()).hasSize(5);
        assertThat(backfill.report().sums()).containsExactly(new SumDifference("output_tokens", 50L, 55L));
    }

    @Test
    @DisplayName("names the fields in which an agent's own sum is not that of its requests")
    void agentsOwnSum() {
        TokenUsage requests = TokenUsage.builder()
                .inputTokens(19_000)
                .outputTokens(7_500)
                .part(TokenPart.CACHE_READ_INPUT, 9_984)
                .build();

        assertThat(SumDifference.between(requests, TokenUsage.of(6_000, 7_500)))
                .containsExactly(
                        new SumDifference("input_tokens", 19_000L, 6_000L),
                        new SumDifference("total_tokens", 26_500L, 13_500L),
                        new SumDifference("cache_read_input_tokens", 9_984L, null));
        assertThat(SumDifference.between(requests, requests)).isEmpty();
    }
}
