package io.fluxtally.usage.chat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.reactor.StreamListener;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;
import reactor.util.context.Context;

/**
 * Captures one model call: opens its slot, hears its responses, and at its end books what they said, unless the wire tap
 * did better.
 *
 * <p>What the responses said is {@linkplain ChunkFold folded} into the requests behind the call. Where the wire tap saw some
 * of them, and none that is the call's answer, the figures are graded {@code PARTIAL}.
 */
final class ChatCapture implements StreamListener<Object> {

    private final UsageRecorder recorder;
    private final ModelCall call;
    private final ChunkFold fold;
    private final @Nullable AnswerEstimate estimate;
    private final boolean isModelCall;
    private final Instant start = Instant.now();
    private final long startNanos = System.nanoTime();

    private @Nullable Duration timeToFirstChunk;
    private @Nullable String responseId;

    /** Whether the answer came to an end, and not only to a reason for one. */
    private boolean isWhole;

    /** Whether a chunk could not be read: the last figure may have been on it. */
    private boolean isUnreadInPart;

    /**
     * A call that starts now.
     *
     * @param outer the scope it is made in, or null
     * @param reservation the places held for its request
     * @param requestModel the model asked for, or null
     * @param fold for what the model will answer
     * @param estimate for what it will answer, or null if nothing is to be estimated
     * @param isModelCall whether there is a model for certain; if not, a stream without any {@code ChatResponse} books
     *     nothing
     */
    ChatCapture(
            UsageRecorder recorder,
            @Nullable UsageScope outer,
            Reservation reservation,
            @Nullable String requestModel,
            ChunkFold fold,
            @Nullable AnswerEstimate estimate,
            boolean isModelCall) {
        this.recorder = recorder;
        this.call = ModelCall.open(outer, requestModel, reservation);
        this.fold = fold;
        this.estimate = estimate;
        if (estimate != null) {
            call.estimates(estimate::of);
        }
        this.isModelCall = isModelCall;
    }

    /** The slot of the call. */
    ModelCall call() {
        return call;
    }

    @Override
    public Context upstreamContext(Context downstream) {
        return call.writeTo(downstream);
    }

    @Override
    public void onNext(Object element) {
        if (element instanceof ChatResponse response && !isMoreOfTheSame(response)) {
            hear(response);
        }
    }

    /** To see that a chunk brings nothing new takes no lock, which would cost more than the rest of the stream. */
    private boolean isMoreOfTheSame(ChatResponse response) {
        try {
            return estimate == null && fold.isMoreOfTheSame(response);
        } catch (RuntimeException unreadable) {
            return false;
        }
    }

    private synchronized void hear(ChatResponse response) {
        try {
            take(response);
        } catch (Throwable failure) {
            isUnreadInPart = true;
            throw failure;
        }
    }

    private void take(ChatResponse response) {
        if (timeToFirstChunk == null) {
            timeToFirstChunk = elapsed();
            call.firstResponse(response);
        }
        fold.add(response);
        String id = fold.responseId();
        if (id != null && !id.equals(responseId)) {
            call.responseId(id);
            responseId = id;
        }
        if (estimate != null) {
            estimate.add(response, id);
        }
    }

    @Override
    public void onComplete() {
        end(completes() ? RequestOutcome.COMPLETED : RequestOutcome.TRUNCATED, false);
    }

    private synchronized boolean completes() {
        isWhole = fold.isWholeIfItEnds();
        return isWhole;
    }

    @Override
    public void onError(Throwable error) {
        end(RequestOutcome.FAILED, true);
    }

    @Override
    public void onCancel() {
        end(isFinished() ? RequestOutcome.COMPLETED : RequestOutcome.CANCELLED, true);
    }

    private synchronized boolean isFinished() {
        return fold.isFinished();
    }

    private void end(RequestOutcome outcome, boolean left) {
        sayLastUsage();
        if (left ? call.endLeft() : call.end()) {
            for (RequestUsage request : conclude(outcome)) {
                recorder.book(call.runScope(), request, call.reservation());
            }
        }
        call.close();
    }

    private synchronized void sayLastUsage() {
        Usage usage = fold.lastUsage();
        if (usage != null) {
            call.lastUsage(usage, fold.lastFigure());
        }
    }

    /** The requests as they were heard; none if there was no model. */
    private synchronized List<RequestUsage> conclude(RequestOutcome outcome) {
        if (timeToFirstChunk == null && !isModelCall) {
            return List.of();
        }
        List<RequestUsage> requests = new ArrayList<>();
        for (ChunkFold.Folded response : fold.fold(isWhole)) {
            requests.add(request(response, outcome, requests.size()));
        }
        return requests;
    }

    private RequestUsage request(ChunkFold.Folded response, RequestOutcome outcome, int before) {
        RequestUsage.Builder request = ModelCall.newRequest(call, start, before)
                .responseId(response.responseId())
                .responseModel(response.model());
        TokenUsage usage = response.usage();
        if (usage != null) {
            request.usage(usage, isUnreadInPart || call.isDoubtful() ? UsageSource.PARTIAL : response.source());
        } else {
            TokenUsage estimated = call.estimate(response.responseId());
            request.usage(estimated, estimated == null ? UsageSource.MISSING : UsageSource.ESTIMATED);
        }
        if (response.isAnswer()) {
            request.outcome(outcome).timeToFirstChunk(timeToFirstChunk).duration(elapsed());
        }
        return request.build();
    }

    private Duration elapsed() {
        return Duration.ofNanos(System.nanoTime() - startNanos);
    }
}
