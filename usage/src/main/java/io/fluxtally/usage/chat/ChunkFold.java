package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;

/**
 * Folds what a model answers, in one piece or in chunks, into the responses behind it and what each of them used.
 *
 * <p>Inside a response the last figure counts, never a sum. Across the responses of one answer, the rounds of a tool loop
 * inside the model, it depends on the {@linkplain ClientHabit client}. One that reports its own record of the provider's
 * usage means this response's; without that record, the figure is a sum over all rounds up to here. A client that has no
 * figure for a chunk repeats the last round's, and that is the very same object. So the order of the chunks does not
 * matter: Spring AI 1.1.8 emits the first round's figure last.
 *
 * <p>Where this leaves it open whose a figure is, or what it lacks, the figure is graded {@code PARTIAL}.
 *
 * <p>Not safe for use by several threads.
 */
final class ChunkFold {

    /**
     * One response of a provider, as far as it can be told from the answer.
     *
     * @param isAnswer whether it is the one that speaks to the app
     */
    record Folded(
            @Nullable String responseId,
            @Nullable String model,
            @Nullable TokenUsage usage,
            UsageSource source,
            boolean isAnswer) {

        Folded asAnswer() {
            return new Folded(responseId, model, usage, source, true);
        }
    }

    private final @Nullable Boolean runsTools;
    private ClientHabit habit;
    private boolean clientLeavesTokensOut;
    private boolean clientAlwaysFinishes;
    private boolean clientCarriesCopies;

    private final Map<String, Response> responses = new LinkedHashMap<>();

    /** The response that the last chunk belongs to. */
    private @Nullable Response current;

    /** The response that a chunk must go on with to bring {@linkplain #isMoreOfTheSame nothing new}, or null if none can. */
    private @Nullable Response goingOn;

    /** The response that speaks to the app: that of the last chunk with content. */
    private @Nullable Response answer;

    /** The class of the record behind the last figure. */
    private @Nullable Class<?> lastRecord;

    /** The response that the last figure belongs to. */
    private @Nullable Response lastReported;

    /**
     * A fold over nothing yet.
     *
     * @param runsTools whether the model may run tools by itself, or null if that is not known
     * @param client a class of the client, or null if none is known before it answers
     */
    ChunkFold(@Nullable Boolean runsTools, @Nullable Class<?> client) {
        this.runsTools = runsTools;
        this.habit = ClientHabit.UNKNOWN;
        takeEvidence(client);
    }

    private void takeEvidence(@Nullable Class<?> client) {
        habit = habit == ClientHabit.UNKNOWN ? ClientHabit.of(client) : habit;
        clientLeavesTokensOut |= ClientHabit.leavesTokensOut(client);
        clientAlwaysFinishes |= ClientHabit.alwaysFinishes(client);
        clientCarriesCopies |= ClientHabit.carriesCopies(client);
    }

    /**
     * Whether a chunk adds nothing to what is known, as most do: content of the same response, without a figure or a reason
     * for the end. It need not be {@linkplain #add added} then.
     *
     * <p>To be called on the thread that adds, which may do so without the lock that it adds under: nobody else changes
     * what is read here.
     */
    boolean isMoreOfTheSame(ChatResponse chunk) {
        Response response = goingOn;
        ChatResponseMetadata metadata = chunk.getMetadata();
        if (response == null || metadata == null) {
            return false;
        }
        Usage usage = metadata.getUsage();
        return (usage == null || usage instanceof EmptyUsage)
                && isOrSaysNothing(metadata.getId(), response.id)
                && isOrSaysNothing(metadata.getModel(), response.model)
                && response.hasNothingNew(chunk.getResult(), usage);
    }

    private static boolean isOrSaysNothing(@Nullable String said, String known) {
        return said == null || said.equals(known) || said.isEmpty();
    }

    /** Takes the next chunk, or the answer as a whole. */
    void add(ChatResponse chunk) {
        goingOn = null;
        Response response = responseOf(chunk);
        Generation generation = chunk.getResult();
        boolean hasContent = generation != null;
        response.begin(generation);
        if (hasContent || answer == null || !answer.hasContent) {
            answer = response;
        }
        Usage usage = chunk.getMetadata() == null ? null : chunk.getMetadata().getUsage();
        boolean canWait = UsageReading.canWait(usage);
        TokenUsage figure = canWait ? null : UsageReading.of(chunk);
        if (usage != null && (canWait || figure != null)) {
            Class<?> record = ClientHabit.recordType(usage);
            if (record != lastRecord) {
                takeEvidence(record);
                lastRecord = record;
            }
            response.usage(usage, figure, hasContent);
            lastReported = response;
        } else if (chunk.getMetadata() != null) {
            response.noUsage(usage);
        }
        goingOn = response == answer && response.goesOn() ? response : null;
    }

    /** The last usage that the answer carried, or null. */
    @Nullable
    Usage lastUsage() {
        return lastReported == null ? null : lastReported.usage;
    }

    /** The tokens of the last usage that the answer carried; zero if it carried none. */
    TokenUsage lastFigure() {
        return lastReported == null ? TokenUsage.ZERO : lastReported.figure();
    }

    /** The response that a chunk names; one that names none belongs to the response before it. */
    private Response responseOf(ChatResponse chunk) {
        String id = "";
        String model = "";
        if (chunk.getMetadata() != null) {
            id = orEmpty(chunk.getMetadata().getId());
            model = orEmpty(chunk.getMetadata().getModel());
        }
        Response response = current;
        if (response == null || !(id.isEmpty() || response.isNamed(id))) {
            Response unnamed = responses.size() == 1 ? responses.remove("") : null;
            response = unnamed != null ? unnamed : responses.getOrDefault(id, new Response());
            response.id = id;
            responses.put(id, response);
        }
        current = response;
        response.model = model.isEmpty() ? response.model : model;
        return response;
    }

    private static String orEmpty(@Nullable String text) {
        return text == null ? "" : text;
    }

    /** The provider's id of the response that the last chunk belongs to, or null. */
    @Nullable
    String responseId() {
        return current == null ? null : current.responseId();
    }

    /** Whether the model gave a reason for its end. */
    boolean isFinished() {
        return answer != null && answer.isFinished() && !clientAlwaysFinishes;
    }

    /** Whether an answer that ends here is whole: one without the reason that its model gives at the end was cut. */
    boolean isWholeIfItEnds() {
        return answer == null || answer.isFinished() || answer.finishReason == null;
    }

    /**
     * The responses behind the answer, in the order of the rounds. There is at least one.
     *
     * @param whole whether the answer ended whole
     */
    List<Folded> fold(boolean whole) {
        Response last = answer;
        if (last == null) {
            return List.of(new Folded(null, null, null, UsageSource.MISSING, true));
        }
        return switch (habit) {
            case RUNNING_TOTALS -> runningTotals(last, whole);
            case OWN_FIGURES ->
                responses.values().stream()
                        .map(response -> ownFigure(response, whole && response == last))
                        .toList();
            case UNKNOWN -> List.of(responses.size() == 1 ? ownFigure(last, whole) : greatest(last));
        };
    }

    /** A response whose figure is its own. */
    private Folded ownFigure(Response response, boolean whole) {
        boolean roundsMayHide = response == answer && habit.hidesRounds(runsTools);
        // What the frames of several choices say, each of its own output, cannot be told apart.
        boolean severalChoices = habit == ClientHabit.OWN_FIGURES && response.finishes > 1;
        boolean sure = isFinal(response, whole)
                && !roundsMayHide
                && !severalChoices
                && !response.lacksInput()
                && !response.followsUnreported();
        return folded(response, UsageReading.inFull(response.usage), sure);
    }

    private boolean isFinal(Response response, boolean whole) {
        return whole || (response.isFigureFinal && !clientAlwaysFinishes);
    }

    /**
     * Whether a response used more than its figure may say. What Anthropic's input lacks is in the client's record, of an
     * answer in one piece only. What other sums lack of their parts (Gemini's thoughts, Bedrock's cached tokens) still is
     * in their total.
     */
    private boolean leavesTokensOut(Response response, @Nullable TokenUsage tokens) {
        boolean isSum = !ClientHabit.isOwnRecord(response.usage);
        return (clientLeavesTokensOut && (isSum || response.chunks > 1))
                || (tokens != null && tokens.totalTokens() > tokens.inputTokens() + tokens.outputTokens());
    }

    /**
     * Whether the figure of a response may be one that the client carried over from a round before: it was on the first
     * chunk already, with content, and never became another.
     */
    private boolean mayBeCarried(Response response) {
        return !Boolean.FALSE.equals(runsTools)
                && (response.isUnchangedSinceFirstChunk() || (clientCarriesCopies && response.equalsFirstChunk()));
    }

    /** Rounds whose figures are sums so far: each used what its figure is more than the one before. */
    private List<Folded> runningTotals(Response last, boolean whole) {
        List<Folded> folded = new ArrayList<>();
        List<Response> rounds = new ArrayList<>(responses.values());
        rounds.removeIf(response -> response.usage == null);
        // Of two with one figure, the one that is certain to own it comes first.
        rounds.sort(Comparator.comparing(Response::total).thenComparing(Response::isUnchangedSinceFirstChunk));
        Set<Usage> owned = Collections.newSetFromMap(new IdentityHashMap<>());
        TokenUsage sum = TokenUsage.ZERO;
        for (Response round : rounds) {
            Usage before = round.usageBefore();
            if (before != null && owned.add(before)) {
                folded.add(new Folded(null, null, UsageReading.inFull(before), UsageSource.REPORTED, false));
                sum = sum.plus(round.firstFigure);
            }
            if (sum.totalTokens() == 0 && round.followsUnreported()) {
                folded.add(new Folded(null, null, null, UsageSource.MISSING, false));
            }
            if (!owned.add(round.usage)) {
                folded.add(missing(round));
                continue;
            }
            boolean own = ClientHabit.isOwnRecord(round.usage);
            if (!own && round.total() <= sum.totalTokens()) {
                folded.add(missing(round));
                continue;
            }
            TokenUsage used = own ? UsageReading.inFull(round.usage) : difference(round.figure(), sum);
            boolean sure = (round != last || (isFinal(round, whole) && !mayBeCarried(round)))
                    && !leavesTokensOut(round, used)
                    && !round.lacksInput();
            folded.add(folded(round, used, sure));
            sum = own ? sum.plus(round.figure()) : round.figure();
        }
        if (last.usage == null) {
            folded.add(missing(last));
        }
        return folded;
    }

    /** What a sum is more than the one before it. */
    private static TokenUsage difference(TokenUsage figure, TokenUsage sum) {
        return TokenUsage.builder()
                .inputTokens(Math.max(0, figure.inputTokens() - sum.inputTokens()))
                .outputTokens(Math.max(0, figure.outputTokens() - sum.outputTokens()))
                .totalTokens(figure.totalTokens() - sum.totalTokens())
                .build();
    }

    /** Several responses of a client that is not known: at least the greatest of their figures was used. */
    private Folded greatest(Response last) {
        Response most = responses.values().stream()
                .max(Comparator.comparing(Response::total))
                .orElse(last);
        return folded(most, UsageReading.inFull(most.usage), false).asAnswer();
    }

    private Folded folded(Response response, @Nullable TokenUsage tokens, boolean sure) {
        UsageSource source = tokens == null ? UsageSource.MISSING : sure ? UsageSource.REPORTED : UsageSource.PARTIAL;
        String model = response.model.isEmpty() ? null : response.model;
        return new Folded(response.responseId(), model, tokens, source, response == answer);
    }

    private Folded missing(Response response) {
        return folded(response, null, false);
    }

    /** What was heard of one response. */
    private static final class Response {

        private String id = "";
        private String model = "";

        /** How many chunks there were, to two at least. */
        private int chunks;

        private int finishes;
        private boolean hasContent;
        private @Nullable String finishReason;

        private @Nullable Usage usage;

        /** The tokens of the usage, or null if they are not read yet. */
        private @Nullable TokenUsage figure = TokenUsage.ZERO;

        /** Whether the figure came with the reason for the end, or after it, or alone after the content. */
        private boolean isFigureFinal;

        private @Nullable Usage firstUsage;
        private TokenUsage firstFigure = TokenUsage.ZERO;
        private boolean isFirstUsageOnFirstChunk;
        private boolean isFigureOnContent;

        /** What the first chunk had instead of a figure; a client that carries it over does so from there on. */
        private @Nullable Usage noUsage;

        private boolean repeatsNoUsage;

        private boolean isNamed(String name) {
            return id.equals(name);
        }

        private @Nullable String responseId() {
            return id.isEmpty() ? null : id;
        }

        /** Whether it is an answer with content, that has not been given a reason for its end. */
        private boolean goesOn() {
            return hasContent && chunks > 1 && finishes == 0 && !isFigureFinal;
        }

        /**
         * Whether a chunk without a figure is content after content and no more. What it has instead of a figure tells
         * something if it is the first, or the same as the first.
         */
        private boolean hasNothingNew(@Nullable Generation generation, @Nullable Usage instead) {
            return generation != null
                    && Objects.equals(reasonOf(generation), finishReason)
                    && (instead == null || repeatsNoUsage || (noUsage != null && instead != noUsage));
        }

        private static @Nullable String reasonOf(Generation generation) {
            return generation.getMetadata() == null
                    ? null
                    : generation.getMetadata().getFinishReason();
        }

        private void begin(@Nullable Generation generation) {
            chunks++;
            if (generation == null) {
                return;
            }
            hasContent = true;
            isFigureFinal &= isFinished();
            String reason = reasonOf(generation);
            if (reason != null && !reason.isEmpty()) {
                finishes++;
                finishReason = reason;
            } else if (finishes == 0) {
                finishReason = reason;
            }
        }

        private void usage(Usage reported, @Nullable TokenUsage tokens, boolean onContent) {
            if (firstUsage == null) {
                firstUsage = reported;
                firstFigure = tokens == null ? read(reported) : tokens;
                isFirstUsageOnFirstChunk = chunks == 1;
            }
            isFigureOnContent = onContent || (isFigureOnContent && reported == usage);
            isFigureFinal = isFinished() || (!onContent && hasContent);
            usage = reported;
            figure = tokens;
        }

        private static TokenUsage read(@Nullable Usage reported) {
            TokenUsage tokens = reported == null ? null : UsageReading.of(reported);
            return tokens == null ? TokenUsage.ZERO : tokens;
        }

        private TokenUsage figure() {
            TokenUsage tokens = figure;
            if (tokens == null) {
                tokens = read(usage);
                figure = tokens;
            }
            return tokens;
        }

        /** Takes what a chunk has instead of a figure: a new one each time, unless the client carries it over. */
        private void noUsage(@Nullable Usage reported) {
            repeatsNoUsage |= noUsage != null && noUsage == reported;
            noUsage = noUsage == null ? reported : noUsage;
        }

        /** Whether there was an answer, it seems, to nothing: what was asked has not been reported. */
        private boolean lacksInput() {
            return figure().inputTokens() == 0 && figure().outputTokens() > 0;
        }

        /**
         * Whether a round before reported nothing: the figure is a sum, having no record, and on the chunks before it was
         * nothing, carried over.
         */
        private boolean followsUnreported() {
            return usage != null && !ClientHabit.isOwnRecord(usage) && !isFirstUsageOnFirstChunk && repeatsNoUsage;
        }

        private boolean isFinished() {
            return finishes > 0;
        }

        private long total() {
            return figure().totalTokens();
        }

        private boolean isUnchangedSinceFirstChunk() {
            return isFirstUsageOnFirstChunk && firstUsage == usage && isFigureOnContent;
        }

        private boolean equalsFirstChunk() {
            return isFirstUsageOnFirstChunk && chunks > 1 && firstFigure.equals(figure());
        }

        /** The figure of the round before, if the first chunks carried it: one with a record, and later one without. */
        private @Nullable Usage usageBefore() {
            return firstUsage != usage && ClientHabit.isOwnRecord(firstUsage) && !ClientHabit.isOwnRecord(usage)
                    ? firstUsage
                    : null;
        }
    }
}
