package io.fluxtally.benchmarks.graph;

import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;

/** A tool that has its answer ready. */
public final class LookTool implements ToolCallback {

    private final ToolDefinition definition = ToolDefinition.builder()
            .name(ScriptedModel.TOOL)
            .description("Looks.")
            .inputSchema("{\"type\":\"object\",\"properties\":{}}")
            .build();

    @Override
    public ToolDefinition getToolDefinition() {
        return definition;
    }

    @Override
    public String call(String input) {
        return "\"nothing\"";
    }
}
