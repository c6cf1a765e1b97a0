package io.fluxtally.usage.chat;

import java.util.Objects;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tokenizer.TokenCountEstimator;

/**
 * Estimates what a request used, for where the provider reported nothing: an app that left, a stream that broke, usage
 * that was not asked for.
 *
 * <p>Implementations are safe for use by any number of threads. One that throws costs the estimate, and nothing else.
 */
public interface UsageEstimator {

    /** The tokens of what a model is asked, tools included. */
    long inputTokens(Prompt prompt);

    /** The tokens of one piece of an answer, as it is streamed; of all of it, if it comes in one piece. */
    long outputTokens(AssistantMessage piece);

    /**
     * An estimator that counts the tokens of the texts, with the few that OpenAI-like models add for each message. Spring
     * AI's {@code JTokkitTokenCountEstimator} counts as OpenAI's models do. Images, audio and hidden reasoning are not in
     * it.
     *
     * @param counter counts the tokens of a text
     */
    static UsageEstimator counting(TokenCountEstimator counter) {
        return new CountingEstimator(Objects.requireNonNull(counter, "counter"));
    }
}
