package io.fluxtally.usage;

import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Tuple;

/** Values for the tests of this package: fixed ones, and random ones for the properties. */
final class Samples {

    static final Instant START = Instant.parse("2025-11-23T10:15:30Z");

    private Samples() {}

    static RequestUsage reported(String requestId, TokenUsage usage) {
        return request(requestId).usage(usage, UsageSource.REPORTED).build();
    }

    static RequestUsage.Builder request(String requestId) {
        return RequestUsage.builder(requestId, START);
    }

    /** Any usage, with any parts absent; some counts so large that a sum leaves the range of {@code long}. */
    static Arbitrary<TokenUsage> usages() {
        Arbitrary<Long> counts = Arbitraries.frequencyOf(List.of(
                Tuple.of(6, Arbitraries.longs().between(0, 50_000)),
                Tuple.of(1, Arbitraries.just(0L)),
                Tuple.of(1, Arbitraries.longs().between(Long.MAX_VALUE - 50_000, Long.MAX_VALUE))));
        Arbitrary<List<Integer>> percents =
                Arbitraries.integers().between(0, 100).injectNull(0.6).list().ofSize(TokenPart.COUNT);
        return Combinators.combine(counts, counts, counts.injectNull(0.5), percents)
                .as(Samples::usage);
    }

    private static TokenUsage usage(long input, long output, Long total, List<Integer> percents) {
        TokenUsage.Builder builder = TokenUsage.builder().inputTokens(input).outputTokens(output);
        if (total != null) {
            builder.totalTokens(total);
        }
        for (TokenPart part : TokenPart.values()) {
            Integer percent = percents.get(part.ordinal());
            if (percent != null) {
                long whole = part.side() == TokenPart.Side.INPUT ? input : output;
                builder.part(part, whole / 100 * percent);
            }
        }
        return builder.build();
    }

    /** Requests of a run, any label of which may be missing, and any figure. */
    static Arbitrary<List<RequestUsage>> runs() {
        Arbitrary<String> labels = Arbitraries.of("a", "b", "c").injectNull(0.3);
        Arbitrary<Integer> rounds = Arbitraries.integers().between(1, 4).injectNull(0.3);
        Arbitrary<UsageSource> sources = Arbitraries.of(UsageSource.class);
        return Combinators.combine(labels, labels, labels, labels, rounds, sources, usages())
                .as((agent, node, requestModel, responseModel, round, source, usage) -> request("unset")
                        .agent(agent)
                        .node(node)
                        .requestModel(requestModel)
                        .responseModel(responseModel)
                        .round(round)
                        .usage(source == UsageSource.MISSING ? null : usage, source))
                .list()
                .ofMaxSize(30)
                .map(Samples::numbered);
    }

    private static List<RequestUsage> numbered(List<RequestUsage.Builder> builders) {
        return IntStream.range(0, builders.size())
                .mapToObj(i -> withId(builders.get(i).build(), "request-" + i))
                .toList();
    }

    private static RequestUsage withId(RequestUsage request, String requestId) {
        return request(requestId)
                .agent(request.agent())
                .node(request.node())
                .requestModel(request.requestModel())
                .responseModel(request.responseModel())
                .round(request.round())
                .usage(request.usage(), request.source())
                .build();
    }
}
