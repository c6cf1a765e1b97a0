package io.fluxtally.graph.agent;

import io.fluxtally.graph.GraphRunnerContext;
import io.fluxtally.graph.GraphState;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.NodeResult;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;

/**
 * A node that asks a model and appends its answer, an {@code AssistantMessage}, to the state: streamed in a streamed run,
 * with a blocking call in any other. What a cancelled run does to that call, {@link NodeResult#blocking} says.
 *
 * <p>Safe for use by any number of threads if the model is.
 */
public final class LlmNode implements NodeAction {

    private final ChatModel model;
    private final Function<GraphState, Prompt> prompt;
    private final String answerKey;

    /**
     * A node that asks a model.
     *
     * @param model the model
     * @param prompt makes the prompt of the state
     * @param answerKey the key that the answer goes to
     * @throws IllegalArgumentException if the key is reserved
     */
    public LlmNode(ChatModel model, Function<GraphState, Prompt> prompt, String answerKey) {
        this.model = Objects.requireNonNull(model, "model");
        this.prompt = Objects.requireNonNull(prompt, "prompt");
        this.answerKey = Objects.requireNonNull(answerKey, "answerKey");
        if (answerKey.equals(GraphRunnerContext.TOKEN_USAGE)) {
            throw new IllegalArgumentException(
                    "answerKey must not be \"%s\", which is reserved for the usage of nodes".formatted(answerKey));
        }
    }

    /**
     * The same node asking another model, for a {@linkplain io.fluxtally.graph.NodeConfig#withFallback fallback}. It gives
     * it the same prompt, with its options.
     */
    public LlmNode asking(ChatModel other) {
        return new LlmNode(other, prompt, answerKey);
    }

    @Override
    public NodeResult apply(GraphState state, GraphRunnerContext context) {
        Prompt request = prompt.apply(state);
        if (context.isStreaming()) {
            // Some models drop chunks when they are not asked for all of them at once (DashScope 1.1.2.2), so a slow
            // consumer's chunks wait here.
            return NodeResult.chunks(
                    context.capture(model).stream(request).onBackpressureBuffer(),
                    () -> new AssistantMessageJoiner(answerKey));
        }
        return NodeResult.blocking(
                () -> Map.of(answerKey, answer(context.capture(model).call(request))));
    }

    private static AssistantMessage answer(@Nullable ChatResponse response) {
        AssistantMessage answer = response == null ? null : AssistantMessageJoiner.answer(response);
        return answer == null ? new AssistantMessage("") : answer;
    }
}
