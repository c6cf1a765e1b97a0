package io.fluxtally.ledger.intercept;

import io.fluxtally.ledger.intercept.BackfillReport.Difference;
import io.fluxtally.ledger.intercept.BackfillReport.Filled;
import io.fluxtally.ledger.intercept.BackfillReport.SumDifference;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Fills what booked requests lack, cached input and reasoning, from a log that has it, by the provider's id of the response.
 *
 * <pre>{@code
 * Backfill backfill = Backfill.from(InterceptLog.read(file));
 * RunUsage filled = backfill.apply(run.usage());
 * backfill.report();
 * }</pre>
 *
 * <p>What is there stays: no figure is replaced, lowered or raised, and one that the log has otherwise is named in the
 * {@linkplain #report() report}. A part is filled in only where the log agrees with the request on what it is a part of. A
 * request without any figure gets the log's, as {@link UsageSource#PARTIAL}: the log does not say whether a figure is final.
 * Of two requests with one response id the first gets the record.
 *
 * <p>One pass: each request is to be applied once. The memory it takes goes by the records of the log and the requests that
 * are not in it. Not safe for use by several threads.
 */
public final class Backfill {

    static final String INPUT = "input_tokens";
    static final String OUTPUT = "output_tokens";
    static final String TOTAL = "total_tokens";

    private final InterceptLog log;
    private final Set<String> used = new HashSet<>();
    private final List<Filled> filled = new ArrayList<>();
    private final List<Difference> differing = new ArrayList<>();
    private final List<String> notLogged = new ArrayList<>();
    private TokenUsage booked = TokenUsage.ZERO;
    private boolean anyBooked;
    private long requests;

    private Backfill(InterceptLog log) {
        this.log = log;
    }

    /** A pass with the given log. */
    public static Backfill from(InterceptLog log) {
        return new Backfill(log);
    }

    /** A run with what its requests lacked. Its sum is that of its requests, as ever. */
    public RunUsage apply(RunUsage run) {
        return RunUsage.of(run.requests().stream().map(this::apply).toList(), run.inFlight());
    }

    /** A request with what it lacked; the same if the log has nothing for it. */
    public RequestUsage apply(RequestUsage request) {
        requests++;
        InterceptRecord record = recordOf(request);
        RequestUsage result = request;
        if (record == null) {
            notLogged.add(request.requestId());
        } else {
            result = new Filling(request, record).result();
        }
        TokenUsage usage = result.usage();
        if (usage != null) {
            anyBooked = true;
            booked = booked.plus(usage);
        }
        return result;
    }

    private @Nullable InterceptRecord recordOf(RequestUsage request) {
        String id = request.responseId();
        return id == null ? null : log.find(id).filter(record -> used.add(id)).orElse(null);
    }

    /** What was done so far, taken as all there is. */
    public BackfillReport report() {
        List<InterceptRecord> notBooked = log.records().stream()
                .filter(record -> !used.contains(record.id()))
                .toList();
        return new BackfillReport(requests, used.size(), filled, differing, notLogged, notBooked, sums());
    }

    private List<SumDifference> sums() {
        @Nullable Long[] logged = new Long[5];
        for (InterceptRecord record : log.records()) {
            add(logged, 0, record.promptTokens());
            add(logged, 1, record.completionTokens());
            add(logged, 2, record.totalTokens());
            add(logged, 3, record.cachedTokens());
            add(logged, 4, record.reasoningTokens());
        }
        List<SumDifference> sums = new ArrayList<>();
        SumDifference.add(sums, INPUT, anyBooked ? booked.inputTokens() : null, logged[0]);
        SumDifference.add(sums, OUTPUT, anyBooked ? booked.outputTokens() : null, logged[1]);
        SumDifference.add(sums, TOTAL, anyBooked ? booked.totalTokens() : null, logged[2]);
        SumDifference.add(sums, TokenPart.CACHE_READ_INPUT.key(), boxed(booked.cacheReadInputTokens()), logged[3]);
        SumDifference.add(sums, TokenPart.REASONING_OUTPUT.key(), boxed(booked.reasoningOutputTokens()), logged[4]);
        return sums;
    }

    /** As {@link TokenUsage#plus} adds: beyond the range of a {@code long} it stays at its end. */
    private static void add(@Nullable Long[] sums, int at, @Nullable Long tokens) {
        Long sum = sums[at];
        if (tokens != null) {
            long more = sum == null ? tokens : sum + tokens;
            sums[at] = more < 0 ? Long.MAX_VALUE : more;
        }
    }

    private static @Nullable Long boxed(OptionalLong tokens) {
        return tokens.isPresent() ? tokens.getAsLong() : null;
    }

    /** One request and what the log has of it. */
    private final class Filling {

        private final RequestUsage request;
        private final InterceptRecord record;

        Filling(RequestUsage request, InterceptRecord record) {
            this.request = request;
            this.record = record;
        }

        RequestUsage result() {
            TokenUsage usage = request.usage();
            if (usage != null) {
                TokenUsage more = filledParts(usage);
                return more == usage
                        ? request
                        : request.toBuilder().usage(more, request.source()).build();
            }
            Long input = record.promptTokens();
            Long output = record.completionTokens();
            if (input == null || output == null) {
                return request;
            }
            TokenUsage.Builder all = TokenUsage.builder().inputTokens(input).outputTokens(output);
            fill(INPUT, input);
            fill(OUTPUT, output);
            Long total = record.totalTokens();
            if (total != null) {
                all.totalTokens(total);
                fill(TOTAL, total);
            }
            return request.toBuilder()
                    .usage(filledParts(all.build()), UsageSource.PARTIAL)
                    .build();
        }

        private TokenUsage filledParts(TokenUsage usage) {
            compare(TOTAL, usage.totalTokens(), record.totalTokens());
            boolean sameInput = compare(INPUT, usage.inputTokens(), record.promptTokens());
            boolean sameOutput = compare(OUTPUT, usage.outputTokens(), record.completionTokens());
            TokenUsage withCached = filledPart(
                    usage, TokenPart.CACHE_READ_INPUT, record.cachedTokens(), sameInput, usage.inputTokens());
            return filledPart(
                    withCached, TokenPart.REASONING_OUTPUT, record.reasoningTokens(), sameOutput, usage.outputTokens());
        }

        /** Whether the log does not contradict the request. */
        private boolean compare(String field, @Nullable Long own, @Nullable Long logged) {
            if (logged == null || logged.equals(own)) {
                return true;
            }
            differing.add(new Difference(request.requestId(), record.id(), field, own, logged));
            return false;
        }

        private TokenUsage filledPart(
                TokenUsage usage, TokenPart part, @Nullable Long logged, boolean sameWhole, long whole) {
            Long own = boxed(usage.part(part));
            if (logged == null || own != null || !sameWhole || logged > whole) {
                compare(part.key(), own, logged);
                return usage;
            }
            fill(part.key(), logged);
            TokenUsage.Builder more = TokenUsage.builder()
                    .inputTokens(usage.inputTokens())
                    .outputTokens(usage.outputTokens())
                    .totalTokens(usage.totalTokens())
                    .part(part, logged);
            for (TokenPart other : TokenPart.values()) {
                usage.part(other).ifPresent(tokens -> more.part(other, tokens));
            }
            return more.build();
        }

        private void fill(String field, long tokens) {
            filled.add(new Filled(request.requestId(), record.id(), field, tokens));
        }
    }
}
