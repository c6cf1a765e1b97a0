package io.fluxtally.graph.agent;

import io.fluxtally.graph.InterruptedOutput;
import io.fluxtally.graph.NodeOutput;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.ai.util.json.JsonParser;
import reactor.core.publisher.Mono;

/**
 * An agent that another may ask as a tool. A {@link ToolNode} runs it, without a thread that waits for it; nothing else
 * can, since a tool's own call would have to block.
 */
final class AgentTool implements ToolCallback {

    private static final String SCHEMA = """
            {"type":"object","properties":{"question":{"type":"string"}},"required":["question"]}""";

    private record Arguments(@Nullable String question) {}

    private final ReactAgent agent;
    private final ToolDefinition definition;

    AgentTool(ReactAgent agent, String name, String description) {
        this.agent = agent;
        this.definition = ToolDefinition.builder()
                .name(name)
                .description(description)
                .inputSchema(SCHEMA)
                .build();
    }

    @Override
    public ToolDefinition getToolDefinition() {
        return definition;
    }

    @Override
    public String call(String toolInput) {
        throw new UnsupportedOperationException(
                "the tool \"%s\" is an agent, which only a ToolNode runs: a call would block"
                        .formatted(definition.name()));
    }

    /** The agent's answer. What the model did wrong is said to the model, which may do better. */
    Mono<String> ask(String toolInput, boolean streaming) {
        String question = questionIn(toolInput);
        if (question == null || question.isBlank()) {
            return Mono.just("The argument \"question\" is missing.");
        }
        return (streaming ? agent.stream(question).last() : agent.invoke(question)).map(this::answer);
    }

    private String answer(NodeOutput last) {
        if (last instanceof InterruptedOutput) {
            throw new IllegalStateException(
                    "the agent \"%s\" is a tool here, and was interrupted: nothing could resume it"
                            .formatted(agent.name()));
        }
        return ReactAgent.answer(last);
    }

    private static @Nullable String questionIn(String toolInput) {
        try {
            return JsonParser.fromJson(toolInput, Arguments.class).question();
        } catch (IllegalStateException notJson) {
            return null;
        }
    }
}
