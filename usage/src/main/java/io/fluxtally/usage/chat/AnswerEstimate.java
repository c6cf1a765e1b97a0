package io.fluxtally.usage.chat;

import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.scope.MeasuringFailures;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;

/**
 * What one call is estimated to have used, response by response, as far as it was heard. Texts are counted and not kept.
 * Safe for use by several threads.
 */
final class AnswerEstimate {

    private static final String PART = "a usage estimator";

    private final UsageEstimator estimator;
    private final Prompt prompt;

    /** The output so far, by response; under an empty id what belongs to none that is named. */
    private final Map<String, Long> outputs = new HashMap<>();

    private String current = "";
    private boolean failed;

    AnswerEstimate(UsageEstimator estimator, Prompt prompt) {
        this.estimator = estimator;
        this.prompt = prompt;
    }

    /** Counts a chunk of a response. */
    synchronized void add(ChatResponse chunk, @Nullable String responseId) {
        current = responseId == null ? "" : responseId;
        try {
            long tokens = 0;
            for (Generation generation : chunk.getResults()) {
                tokens += estimator.outputTokens(generation.getOutput());
            }
            outputs.merge(current, tokens, Long::sum);
        } catch (Throwable failure) {
            failed = true;
            MeasuringFailures.report(PART, failure);
        }
    }

    /**
     * What a response is estimated to have used, or null if nothing of it was heard.
     *
     * @param responseId the provider's id of it, or null for the one that was heard last
     */
    synchronized @Nullable TokenUsage of(@Nullable String responseId) {
        Long output = outputs.get(responseId == null || outputs.containsKey("") ? current : responseId);
        if (output == null || failed) {
            return null;
        }
        try {
            return TokenUsage.of(estimator.inputTokens(prompt), output);
        } catch (Throwable failure) {
            MeasuringFailures.report(PART, failure);
            return null;
        }
    }
}
