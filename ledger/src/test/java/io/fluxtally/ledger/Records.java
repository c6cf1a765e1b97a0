package io.fluxtally.ledger;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;

/** Records for the tests: plain ones, and any. */
public final class Records {

    public static final Instant START = Instant.parse("2026-01-31T12:00:00Z");

    private Records() {}

    /** A plain one, whose figures follow from its number. */
    public static RequestUsage plain(String id, int number) {
        return RequestUsage.builder(id, START.plusSeconds(number))
                .runId("run-" + number % 7)
                .responseId("response-" + id)
                .labels(Map.of(RequestUsage.USER, "user-" + number % 3))
                .responseModel(number % 2 == 0 ? "even" : "odd")
                .usage(
                        TokenUsage.builder()
                                .inputTokens(100 + number)
                                .outputTokens(10)
                                .part(TokenPart.CACHE_READ_INPUT, number % 100)
                                .build(),
                        UsageSource.REPORTED)
                .duration(Duration.ofMillis(number))
                .build();
    }

    public static List<RequestUsage> plain(int count) {
        return IntStream.range(0, count).mapToObj(i -> plain("request-" + i, i)).toList();
    }

    /** Any texts, also those that a database, a line or an encoding may have trouble with. */
    public static Arbitrary<String> texts() {
        return Arbitraries.oneOf(
                Arbitraries.strings().ofMaxLength(8),
                Arbitraries.strings().alpha().ofLength(300),
                Arbitraries.of(
                        " ",
                        "a ",
                        "A",
                        "a",
                        "\n",
                        "\u0000",
                        "\ud800",
                        "\udc00x",
                        "\ud83d\ude00",
                        "é",
                        "'; --",
                        "none"));
    }

    /** Any requests, each with an id of its own. */
    public static Arbitrary<List<RequestUsage>> any() {
        return any(12);
    }

    /** At most so many of them. */
    public static Arbitrary<List<RequestUsage>> any(int max) {
        return one().list().ofMinSize(1).ofMaxSize(max).map(Records::withOwnIds);
    }

    private static List<RequestUsage> withOwnIds(List<RequestUsage> requests) {
        List<RequestUsage> own = new ArrayList<>();
        for (RequestUsage it : requests) {
            own.add(new RequestUsage(
                    it.requestId() + own.size(),
                    it.runId(),
                    it.callId(),
                    it.responseId(),
                    it.agent(),
                    it.node(),
                    it.round(),
                    it.attempt(),
                    it.labels(),
                    it.provider(),
                    it.requestModel(),
                    it.responseModel(),
                    it.usage(),
                    it.reported(),
                    it.source(),
                    it.outcome(),
                    it.start(),
                    it.timeToFirstChunk(),
                    it.duration()));
        }
        return own;
    }

    private static Arbitrary<RequestUsage> one() {
        Arbitrary<String> label = texts().injectNull(0.4);
        Arbitrary<List<String>> ids = label.list().ofSize(8);
        Arbitrary<Map<String, String>> labels = Arbitraries.maps(
                Arbitraries.of(RequestUsage.CONVERSATION, RequestUsage.USER, RequestUsage.TENANT, "other"), texts());
        Arbitrary<Map<String, Long>> reported =
                Arbitraries.maps(texts(), Arbitraries.longs()).ofMaxSize(3);
        Arbitrary<Long> seconds = Arbitraries.oneOf(
                Arbitraries.longs().between(START.getEpochSecond(), START.getEpochSecond() + 300_000),
                Arbitraries.longs().between(Instant.MIN.getEpochSecond(), Instant.MAX.getEpochSecond()));
        return Combinators.combine(
                        texts(),
                        ids,
                        labels,
                        usages(),
                        reported,
                        Arbitraries.of(UsageSource.class),
                        seconds,
                        Arbitraries.longs())
                .as((id, other, said, usage, figures, source, at, nanos) -> new RequestUsage(
                        id,
                        other.get(0),
                        other.get(1),
                        other.get(2),
                        other.get(3),
                        other.get(4),
                        nanos % 2 == 0 ? null : 3,
                        2,
                        said,
                        other.get(5),
                        other.get(6),
                        other.get(7),
                        source == UsageSource.MISSING ? null : usage,
                        figures,
                        source,
                        RequestOutcome.values()[Math.floorMod(nanos, RequestOutcome.values().length)],
                        Instant.ofEpochSecond(at, Math.floorMod(nanos, 1_000_000_000)),
                        nanos % 3 == 0 ? null : Duration.ofNanos(nanos),
                        Duration.ofNanos(nanos)));
    }

    private static Arbitrary<TokenUsage> usages() {
        Arbitrary<Long> tokens = Arbitraries.oneOf(
                Arbitraries.longs().between(0, 50_000),
                Arbitraries.longs().between(Long.MAX_VALUE - 100, Long.MAX_VALUE));
        Arbitrary<Map<TokenPart, Integer>> parts = Arbitraries.maps(
                Arbitraries.of(TokenPart.class), Arbitraries.integers().between(0, 100));
        return Combinators.combine(tokens, tokens, tokens, parts).as((input, output, total, shares) -> {
            TokenUsage.Builder usage =
                    TokenUsage.builder().inputTokens(input).outputTokens(output).totalTokens(total);
            shares.forEach((part, percent) ->
                    usage.part(part, (part.side() == TokenPart.Side.INPUT ? input : output) / 100 * percent));
            return usage.build();
        });
    }

    /** All records of a ledger of files, which must have no problems but those that are expected. */
    public static List<RequestUsage> read(Path directory, List<LedgerProblem> problems) {
        List<RequestUsage> records = new ArrayList<>();
        LedgerReader.of(directory).reportingTo(problems::add).forEach(records::add);
        return records;
    }
}
