package io.fluxtally.conformance.engine;

import io.fluxtally.usage.RunUsage;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;

/**
 * One run of an app over a scenario: what its model answered, what ended it, and what Fluxtally counted. Immutable.
 *
 * @param responses what the model answered to the code above it, in order; of a stream every chunk
 * @param error the error that the app saw, or null
 * @param usage what Fluxtally counted; nothing if it was not there
 */
public record AppRun(List<ChatResponse> responses, @Nullable Throwable error, RunUsage usage) {

    /** Copies the list. */
    public AppRun {
        responses = List.copyOf(responses);
    }

    /** What an app reads without Fluxtally: the usage of the last response that has any, or null. */
    public @Nullable Usage lastReadUsage() {
        for (int i = responses.size() - 1; i >= 0; i--) {
            Usage usage = responses.get(i).getMetadata().getUsage();
            if (usage != null && hasCounts(usage)) {
                return usage;
            }
        }
        return null;
    }

    /** DashScope's usage throws where its counts are null, which is how an app finds that out. */
    private static boolean hasCounts(Usage usage) {
        try {
            return usage.getTotalTokens() > 0;
        } catch (NullPointerException lacksCounts) {
            return false;
        }
    }
}
