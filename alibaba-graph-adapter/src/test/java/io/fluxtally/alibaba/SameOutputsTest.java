package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.GraphLifecycleListener;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import reactor.core.publisher.Flux;

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

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("a model that breaks ends in the same outputs and the same error")
    void errors(boolean streaming) throws Exception {
        List<String> outcomes = new ArrayList<>();
        for (Kit kit : List.of(Kit.plain(streaming, UsageAt.RUNNING), Kit.measured(streaming, UsageAt.RUNNING))) {
            ReactAgent agent = kit.agent(ReactAgent.builder()
                    .name("weather")
                    .model(kit.model("weather", Turn.asks(5_000, 2_000, "get_weather"), Turn.breaks(8_000, 3_000)))
                    .tools(Kit.weather())
                    .build());
            outcomes.add(kit.stream(agent)
                    .map(SameOutputsTest::text)
                    .onErrorResume(error -> Flux.just(error.toString()))
                    .collectList()
                    .block(Kit.PATIENCE)
                    .toString());
        }

        assertThat(outcomes.get(1)).isEqualTo(outcomes.get(0)).contains("the provider broke");
    }

    @Test
    @DisplayName("an app that leaves is heard by the model, which is told once")
    void cancels() throws Exception {
        for (Kit kit : List.of(Kit.plain(true, UsageAt.RUNNING), Kit.measured(true, UsageAt.RUNNING))) {
            AtomicInteger cancels = new AtomicInteger();
            CountDownLatch told = new CountDownLatch(1);
            CompiledGraph graph = kit.compile(new StateGraph(Kit.keys())
                    .addNode(
                            "asks",
                            AsyncNodeActionWithConfig.node_async((state, config) -> Map.of(
                                    "messages",
                                    Flux.just(Turn.says(60, 10, "S", "un").whole("id", false))
                                            .concatWith(Flux.never())
                                            .doOnCancel(() -> {
                                                cancels.incrementAndGet();
                                                told.countDown();
                                            }))))
                    .addEdge(StateGraph.START, "asks")
                    .addEdge("asks", StateGraph.END));

            kit.stream(graph).takeUntil(output -> output.node().equals("asks")).blockLast(Kit.PATIENCE);

            assertThat(told.await(60, TimeUnit.SECONDS)).as("%s", kit).isTrue();
            assertThat(cancels).hasValue(1);
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
