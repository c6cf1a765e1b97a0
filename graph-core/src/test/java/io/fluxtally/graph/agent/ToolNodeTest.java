package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.scripted.Graphs;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingManager;

@DisplayName("a tool node")
class ToolNodeTest {

    private final CompiledGraph graph = Graphs.single(
                    new ToolNode(ToolCallingManager.builder().build(), new DefaultToolCallingChatOptions(), "messages"))
            .compile();

    @Test
    @DisplayName("says what it needs where the last message asks for no tool")
    void nothingToDo() {
        for (List<?> messages :
                List.of(List.of(), List.of(new UserMessage("Rain?")), List.of(new AssistantMessage("It will rain.")))) {
            assertThatExceptionOfType(NodeFailedException.class)
                    .isThrownBy(() -> graph.invoke(Map.of("messages", messages)).block())
                    .withMessageContaining("the last of \"messages\" must be an assistant message with tool calls");
        }
    }
}
