package io.fluxtally.usage.chat;

import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.Reservation;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import reactor.core.publisher.Flux;

/**
 * A {@code ChatModel} whose every call is booked, streamed or not; otherwise it is the model it decorates.
 *
 * <p>If the wire tap sees the requests of a call, its figures count; without it, what the model itself reports. A model
 * that runs tools by itself may hide rounds from the code above it; without the wire tap the figure of such a call is
 * graded {@code PARTIAL}.
 *
 * <p>Where the run has {@linkplain RunScope#withLimits limits}, a call beyond them fails with a
 * {@code UsageLimitExceededException} before anything is requested: a blocking one throws it, a stream ends with it.
 *
 * <p>A stream's call is in the {@code Context}, and while its model is subscribed to on that thread as well, for a client
 * that knows no {@code Context}.
 *
 * <p>Safe for use by any number of threads if the decorated model is.
 */
public final class UsageChatModel implements ChatModel {

    private static final String PART = "the decorator of a ChatModel";

    private final ChatModel model;
    private final UsageRecorder recorder;
    private final @Nullable UsageEstimator estimator;

    private UsageChatModel(ChatModel model, UsageRecorder recorder, @Nullable UsageEstimator estimator) {
        this.model = Objects.requireNonNull(model, "model");
        this.recorder = Objects.requireNonNull(recorder, "recorder");
        this.estimator = estimator;
    }

    /** Decorates a model; books to the recorder of this process. */
    public static UsageChatModel of(ChatModel model) {
        return of(model, UsageRecorder.shared());
    }

    /**
     * Decorates a model; books to the given recorder, but for requests that the wire tap sees, which it books to its own.
     * A model that is decorated already is returned as it is.
     */
    public static UsageChatModel of(ChatModel model, UsageRecorder recorder) {
        return model instanceof UsageChatModel decorated ? decorated : new UsageChatModel(model, recorder, null);
    }

    /**
     * The same model, of whose calls a request that the provider reports nothing about is estimated and graded
     * {@code ESTIMATED}, as far as its answer was heard. That is so with and without the wire tap.
     */
    public UsageChatModel estimating(UsageEstimator with) {
        return new UsageChatModel(model, recorder, Objects.requireNonNull(with, "estimator"));
    }

    @Override
    public ChatResponse call(Prompt prompt) {
        ChatCapture capture;
        try {
            capture = AdmittedCalls.open(UsageScope.current(), capturing(prompt));
        } catch (UsageLimitExceededException refused) {
            throw refused;
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return model.call(prompt);
        }
        UsageScope.Binding binding = capture.call().bind();
        ChatResponse response;
        try (binding) {
            response = model.call(prompt);
        } catch (Throwable error) {
            guarded(() -> capture.onError(error));
            throw error;
        }
        guarded(() -> {
            if (response != null) {
                capture.onNext(response);
            }
            capture.onComplete();
        });
        return response;
    }

    private static void guarded(Runnable measuring) {
        try {
            measuring.run();
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
        }
    }

    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        return AdmittedCalls.capture(model.stream(prompt), capturing(prompt));
    }

    @Override
    public ChatOptions getDefaultOptions() {
        return model.getDefaultOptions();
    }

    private AdmittedCalls.Opening capturing(Prompt prompt) {
        return (outer, reservation) -> newCapture(outer, reservation, prompt);
    }

    private ChatCapture newCapture(@Nullable UsageScope outer, Reservation reservation, Prompt prompt) {
        ChatOptions options = prompt.getOptions();
        ChatOptions defaults = model.getDefaultOptions();
        ChunkFold fold = new ChunkFold(runsTools(options, defaults), model.getClass());
        AnswerEstimate estimate = estimator == null ? null : new AnswerEstimate(estimator, prompt);
        return new ChatCapture(recorder, outer, reservation, modelOf(options, defaults), fold, estimate, true);
    }

    private static @Nullable String modelOf(@Nullable ChatOptions options, @Nullable ChatOptions defaults) {
        if (options != null && options.getModel() != null) {
            return options.getModel();
        }
        return defaults == null ? null : defaults.getModel();
    }

    /** Whether the model has tools and runs them by itself; what the prompt's options say goes before the model's. */
    private static boolean runsTools(@Nullable ChatOptions options, @Nullable ChatOptions defaults) {
        if (!hasTools(options) && !hasTools(defaults)) {
            return false;
        }
        Boolean internal = runsToolsInternally(options);
        return !Boolean.FALSE.equals(internal != null ? internal : runsToolsInternally(defaults));
    }

    private static boolean hasTools(@Nullable ChatOptions options) {
        return options instanceof ToolCallingChatOptions tools
                && (!tools.getToolCallbacks().isEmpty() || !tools.getToolNames().isEmpty());
    }

    private static @Nullable Boolean runsToolsInternally(@Nullable ChatOptions options) {
        return options instanceof ToolCallingChatOptions tools ? tools.getInternalToolExecutionEnabled() : null;
    }

    @Override
    public String toString() {
        return "UsageChatModel[" + model + "]";
    }
}
