package io.fluxtally.graph.agent;

import io.fluxtally.graph.GraphRunnerContext;
import io.fluxtally.graph.GraphState;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.NodeResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.model.tool.ToolExecutionResult;

/**
 * A node that runs the tools that the last message asks for, and appends what they answer. If they are to answer the user
 * directly, their answer is appended as the assistant's.
 *
 * <p>Safe for use by any number of threads if the tools are.
 */
public final class ToolNode implements NodeAction {

    private final ToolCallingManager manager;
    private final ToolCallingChatOptions options;
    private final String messagesKey;

    /**
     * A node that runs tools.
     *
     * @param manager runs them
     * @param options has them
     * @param messagesKey the key of the conversation
     */
    public ToolNode(ToolCallingManager manager, ToolCallingChatOptions options, String messagesKey) {
        this.manager = Objects.requireNonNull(manager, "manager");
        this.options = Objects.requireNonNull(options, "options");
        this.messagesKey = Objects.requireNonNull(messagesKey, "messagesKey");
    }

    @Override
    public NodeResult apply(GraphState state, GraphRunnerContext context) {
        List<Message> messages = state.list(messagesKey);
        if (messages.isEmpty()
                || !(messages.get(messages.size() - 1) instanceof AssistantMessage request)
                || !request.hasToolCalls()) {
            throw new IllegalStateException(
                    "the last of \"%s\" must be an assistant message with tool calls".formatted(messagesKey));
        }
        Prompt prompt = new Prompt(messages.subList(0, messages.size() - 1), options);
        ChatResponse response = new ChatResponse(List.of(new Generation(request)));
        return NodeResult.blocking(() -> Map.of(messagesKey, answers(manager.executeToolCalls(prompt, response))));
    }

    private static List<Message> answers(ToolExecutionResult result) {
        List<Message> history = result.conversationHistory();
        List<Message> answers = new ArrayList<>();
        answers.add(history.get(history.size() - 1));
        if (result.returnDirect()) {
            ToolExecutionResult.buildGenerations(result).forEach(generation -> answers.add(generation.getOutput()));
        }
        return answers;
    }
}
