package io.fluxtally.graph.agent;

import io.fluxtally.graph.GraphRunnerContext;
import io.fluxtally.graph.GraphState;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.NodeResult;
import io.fluxtally.usage.scope.BlockingWork;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage.ToolResponse;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.model.tool.ToolExecutionResult;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * A node that runs the tools that the last message asks for, and appends what they answer, in the order in which they were
 * asked for. If they are to answer the user directly, their answer is appended as the assistant's.
 *
 * <p>Safe for use by any number of threads if the tools are.
 */
public final class ToolNode implements NodeAction {

    private final ToolCallingManager manager;
    private final ToolCallingChatOptions options;
    private final String messagesKey;
    private final int maxParallel;

    /**
     * A node that runs tools one after the other.
     *
     * @param manager runs them
     * @param options has them
     * @param messagesKey the key of the conversation
     */
    public ToolNode(ToolCallingManager manager, ToolCallingChatOptions options, String messagesKey) {
        this(manager, options, messagesKey, 1);
    }

    /**
     * A node that runs tools at once. If one fails, the others are cancelled.
     *
     * @param manager runs them, each on its own, so that of the tool calls in the message that it sees there is one
     * @param options has them
     * @param messagesKey the key of the conversation
     * @param maxParallel how many run at once
     * @throws IllegalArgumentException if maxParallel is less than 1
     */
    public ToolNode(ToolCallingManager manager, ToolCallingChatOptions options, String messagesKey, int maxParallel) {
        this.manager = Objects.requireNonNull(manager, "manager");
        this.options = Objects.requireNonNull(options, "options");
        this.messagesKey = Objects.requireNonNull(messagesKey, "messagesKey");
        this.maxParallel = maxParallel;
        if (maxParallel < 1) {
            throw new IllegalArgumentException("maxParallel must be 1 or more, but is " + maxParallel);
        }
    }

    @Override
    public NodeResult apply(GraphState state, GraphRunnerContext context) {
        List<Message> messages = state.list(messagesKey);
        if (!messages.isEmpty() && messages.get(messages.size() - 1) instanceof ToolResponseMessage) {
            // A person has answered in place of the tools.
            return NodeResult.none();
        }
        if (messages.isEmpty()
                || !(messages.get(messages.size() - 1) instanceof AssistantMessage request)
                || !request.hasToolCalls()) {
            throw new IllegalStateException(
                    "the last of \"%s\" must be an assistant message with tool calls".formatted(messagesKey));
        }
        Prompt prompt = new Prompt(messages.subList(0, messages.size() - 1), options);
        List<ToolCall> calls = request.getToolCalls();
        boolean together = calls.size() == 1 || maxParallel == 1;
        if (together && calls.stream().allMatch(call -> agentOf(call) == null)) {
            return NodeResult.blocking(() -> update(execute(prompt, request)));
        }
        return NodeResult.deferred(Flux.fromIterable(calls)
                .flatMapSequential(call -> answer(prompt, request, call, context.isStreaming()), maxParallel, 1)
                .collectList()
                .map(answers -> update(joined(answers))));
    }

    private @Nullable AgentTool agentOf(ToolCall call) {
        return options.getToolCallbacks().stream()
                .filter(tool -> tool instanceof AgentTool
                        && tool.getToolDefinition().name().equals(call.name()))
                .map(AgentTool.class::cast)
                .findFirst()
                .orElse(null);
    }

    private Mono<ToolExecutionResult> answer(
            Prompt prompt, AssistantMessage request, ToolCall call, boolean streaming) {
        AgentTool agent = agentOf(call);
        if (agent != null) {
            return agent.ask(call.arguments(), streaming)
                    .map(text -> result(List.of(new ToolResponse(call.id(), call.name(), text)), false));
        }
        AssistantMessage single = AssistantMessage.builder()
                .content(request.getText())
                .properties(request.getMetadata())
                .media(request.getMedia())
                .toolCalls(List.of(call))
                .build();
        return blocking(() -> execute(prompt, single));
    }

    /** Work on a thread made for it, in the scope of the node. */
    private static <T> Mono<T> blocking(Callable<T> work) {
        return Mono.deferContextual(context -> {
            UsageScope scope = Objects.requireNonNull(UsageScope.current(context), "scope");
            RunScope run = Objects.requireNonNull(scope.runScope(), "run");
            return BlockingWork.on(Schedulers.boundedElastic(), run, work);
        });
    }

    private ToolExecutionResult execute(Prompt prompt, AssistantMessage request) {
        return manager.executeToolCalls(prompt, new ChatResponse(List.of(new Generation(request))));
    }

    private static ToolExecutionResult joined(List<ToolExecutionResult> results) {
        List<ToolResponse> responses = new ArrayList<>();
        results.forEach(result -> responses.addAll(((ToolResponseMessage) last(result)).getResponses()));
        return result(responses, results.stream().allMatch(ToolExecutionResult::returnDirect));
    }

    private static ToolExecutionResult result(List<ToolResponse> responses, boolean returnDirect) {
        return ToolExecutionResult.builder()
                .conversationHistory(List.of(
                        ToolResponseMessage.builder().responses(responses).build()))
                .returnDirect(returnDirect)
                .build();
    }

    private static Message last(ToolExecutionResult result) {
        List<Message> history = result.conversationHistory();
        return history.get(history.size() - 1);
    }

    private Map<String, ?> update(ToolExecutionResult result) {
        List<Message> answers = new ArrayList<>();
        answers.add(last(result));
        if (result.returnDirect()) {
            ToolExecutionResult.buildGenerations(result).forEach(generation -> answers.add(generation.getOutput()));
        }
        return Map.of(messagesKey, answers);
    }
}
