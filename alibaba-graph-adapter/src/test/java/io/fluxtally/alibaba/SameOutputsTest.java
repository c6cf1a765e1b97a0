package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.GraphLifecycleListener;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;

@DisplayName("With and without Fluxtally")
class SameOutputsTest {

    /** What runs its branches at once has their outputs in any order. */
    private static final List<App> IN_ANY_ORDER = List.of(
            App.PARALLEL,
            App.PARALLEL_EDGES,
            App.TELLING_PARALLEL,
            App.CONDITIONAL_PARALLEL,
            App.AGENTS_AS_PARALLEL_TOOLS);

    @ParameterizedTest
    @EnumSource
    @DisplayName("the outputs are the same but for the usage, and so is what models are asked")
    void same(App app) throws Exception {
        compare(app, false, UsageAt.LAST_CONTENT);
        for (UsageAt at : UsageAt.values()) {
            compare(app, true, at);
        }
    }

    private static void compare(App app, boolean streaming, UsageAt at) throws Exception {
        Kit plain = Kit.plain(streaming, at);
        Kit measured = Kit.measured(streaming, at);
        List<String> before = outcome(app, plain);
        List<String> after = outcome(app, measured);

        if (IN_ANY_ORDER.contains(app)) {
            assertThat(after).as("%s", measured).containsExactlyInAnyOrderElementsOf(before);
            assertThat(asked(measured)).containsExactlyInAnyOrderElementsOf(asked(plain));
        } else {
            assertThat(after).as("%s", measured).isEqualTo(before);
            assertThat(asked(measured)).isEqualTo(asked(plain));
        }
    }

    private static List<String> outcome(App app, Kit kit) throws Exception {
        try {
            return Outputs.of(app, kit).stream()
                    .map(SameOutputsTest::text)
                    .map(SameOutputsTest::withoutHashes)
                    .toList();
        } catch (RuntimeException error) {
            return List.of(error.toString());
        }
    }

    /** Names that have an identity hash in them, which is another one in every run. */
    private static String withoutHashes(String text) {
        return text.replaceAll("__\\d{4,}", "__#").replaceAll("GraphResponse@[0-9a-f]+", "GraphResponse");
    }

    private static List<String> asked(Kit kit) {
        return kit.prompts().stream().map(SameOutputsTest::text).toList();
    }

    private static String text(Prompt prompt) {
        String options = prompt.getOptions() instanceof ToolCallingChatOptions tools
                ? "%s %s %s %s %s"
                        .formatted(
                                tools.getModel(),
                                tools.getTemperature(),
                                tools.getToolNames(),
                                tools.getToolCallbacks().stream()
                                        .map(tool -> tool.getToolDefinition().name())
                                        .toList(),
                                tools.getInternalToolExecutionEnabled())
                : String.valueOf(prompt.getOptions());
        return prompt.getInstructions().stream().map(SameOutputsTest::text).toList() + " with " + options;
    }

    private static String text(NodeOutput output) {
        Map<String, Object> state = new TreeMap<>(output.state().data());
        // A new one for each run.
        state.remove(GraphLifecycleListener.EXECUTION_ID_KEY);
        state.replaceAll((key, value) -> text(value));
        StringBuilder text = new StringBuilder("%s %s %s %s %s"
                .formatted(
                        output.getClass().getSimpleName(),
                        // The name of a lambda's class is not the same in every run.
                        output.node().replaceAll("Lambda.*", "Lambda"),
                        output.agent(),
                        output.isSubGraph(),
                        state));
        if (output instanceof StreamingOutput<?> streaming) {
            text.append(" %s %s %s"
                    .formatted(streaming.getOutputType(), text(streaming.message()), text(streaming.getOriginData())));
        }
        return text.toString();
    }

    private static String text(Object value) {
        if (value instanceof AssistantMessage message) {
            return "%s %s %s".formatted(message.getText(), message.getMetadata(), message.getToolCalls());
        }
        if (value instanceof ToolResponseMessage message) {
            return String.valueOf(message.getResponses());
        }
        if (value instanceof Message message) {
            return message.getMessageType() + " " + message.getText();
        }
        if (value instanceof ChatResponse response) {
            return "%s %s %s"
                    .formatted(
                            text(response.getResult().getOutput()),
                            response.getResult().getMetadata().getFinishReason(),
                            response.getMetadata().getId());
        }
        if (value instanceof List<?> list) {
            return list.stream().map(SameOutputsTest::text).toList().toString();
        }
        return String.valueOf(value);
    }
}
