package io.fluxtally.usage.chat;

import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.reactor.StreamListener;
import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import reactor.util.context.Context;

/**
 * Captures one model call: opens its slot, hears its responses, and at its end books what they said, unless the wire tap
 * did better.
 *
 * <p>Of a stream the last figure counts, never a sum: chunks repeat the figure or carry it on. What a chat stream tells
 * of the requests behind it is limited: rounds of a tool loop inside the model may be hidden, or their figures merged. So
 * where such rounds are possible, or more than one response was seen, or the client is known to leave tokens out, the
 * figure is graded {@code PARTIAL}.
 */
final class ChatCapture implements StreamListener<Object> {

    private final UsageRecorder recorder;
    private final ModelCall call;
    private final @Nullable Boolean runsTools;
    private final boolean isModelCall;
    private final Instant start = Instant.now();
    private final long startNanos = System.nanoTime();

    private @Nullable Duration timeToFirstChunk;
    private @Nullable TokenUsage usage;

    /** Whether the usage came with the model's reason for its end, or after it. */
    private boolean usageIsFinal;

    private @Nullable String responseId;
    private @Nullable String responseModel;
    private boolean severalResponses;

    /** Whether there may be more tokens behind the figure than it says. */
    private boolean figureMayLack;

    private @Nullable String finishReason;

    /**
     * A call that starts now.
     *
     * @param outer the scope it is made in, or null
     * @param requestModel the model asked for, or null
     * @param runsTools whether the model may run tools by itself, or null if that is not known
     * @param isModelCall whether there is a model for certain; if not, a stream without any {@code ChatResponse} books
     *     nothing
     */
    ChatCapture(
            UsageRecorder recorder,
            @Nullable UsageScope outer,
            @Nullable String requestModel,
            @Nullable Boolean runsTools,
            boolean isModelCall) {
        this.recorder = recorder;
        this.call = ModelCall.open(outer, requestModel);
        this.runsTools = runsTools;
        this.figureMayLack = Boolean.TRUE.equals(runsTools);
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
        if (element instanceof ChatResponse response) {
            hear(response);
        }
    }

    private synchronized void hear(ChatResponse response) {
        if (timeToFirstChunk == null) {
            timeToFirstChunk = elapsed();
            call.firstResponse(response);
        }
        readIdentity(response);
        readFinishReason(response);
        readUsage(response);
    }

    private void readIdentity(ChatResponse response) {
        if (response.getMetadata() == null) {
            return;
        }
        String id = response.getMetadata().getId();
        if (id != null && !id.isEmpty() && !id.equals(responseId)) {
            severalResponses |= responseId != null;
            responseId = id;
            call.responseId(id);
        }
        String model = response.getMetadata().getModel();
        if (model != null && !model.isEmpty()) {
            responseModel = model;
        }
    }

    private void readFinishReason(ChatResponse response) {
        Generation generation = response.getResult();
        if (generation != null && generation.getMetadata() != null) {
            finishReason = generation.getMetadata().getFinishReason();
        }
    }

    private void readUsage(ChatResponse response) {
        TokenUsage reported = UsageReading.of(response);
        if (reported != null) {
            usage = reported;
            usageIsFinal = isFinished();
            call.lastUsage(response.getMetadata().getUsage(), reported);
            figureMayLack |= UsageReading.mayLackTokens(response.getMetadata().getUsage(), runsTools);
        }
    }

    /** Whether the model has given a reason for its end; it is empty before, and null with models that give none. */
    private synchronized boolean isFinished() {
        return finishReason != null && !finishReason.isEmpty();
    }

    @Override
    public void onComplete() {
        end(completes() ? RequestOutcome.COMPLETED : RequestOutcome.TRUNCATED);
    }

    /** A stream that completes without the reason that its model gives at the end was cut. */
    private synchronized boolean completes() {
        usageIsFinal = isFinished() || finishReason == null;
        return usageIsFinal;
    }

    @Override
    public void onError(Throwable error) {
        end(RequestOutcome.FAILED);
    }

    @Override
    public void onCancel() {
        end(isFinished() ? RequestOutcome.COMPLETED : RequestOutcome.CANCELLED);
    }

    private void end(RequestOutcome outcome) {
        if (call.end()) {
            RequestUsage request = conclude(outcome);
            if (request != null) {
                recorder.book(call.runScope(), request);
            }
        }
        call.close();
    }

    /** The request as it was heard, or null if there was no model. */
    private synchronized @Nullable RequestUsage conclude(RequestOutcome outcome) {
        if (timeToFirstChunk == null && !isModelCall) {
            return null;
        }
        return ModelCall.newRequest(call, start)
                .responseId(responseId)
                .responseModel(responseModel)
                .usage(usage, source())
                .outcome(outcome)
                .timeToFirstChunk(timeToFirstChunk)
                .duration(elapsed())
                .build();
    }

    private UsageSource source() {
        if (usage == null) {
            return UsageSource.MISSING;
        }
        boolean sure = usageIsFinal && !figureMayLack && !severalResponses && !call.isDoubtful();
        return sure ? UsageSource.REPORTED : UsageSource.PARTIAL;
    }

    private Duration elapsed() {
        return Duration.ofNanos(System.nanoTime() - startNanos);
    }
}
