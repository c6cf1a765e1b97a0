package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;

/** The seed example: three rounds of DashScope's real client over HTTP, billed 26,500 tokens. */
@DisplayName("An agent of three rounds")
class ThreeRoundsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "dashscope-three-rounds-usage-only-stream",
                "dashscope-three-rounds-last-content-stream",
                "dashscope-three-rounds-running-stream"
            })
    @DisplayName("reads in a stream what it is billed, and each round its own (T1, T3, T4, T11)")
    void streamed(String scenario) {
        List<NodeOutput> outputs = withAgent(
                scenario, agent -> agent.stream("上海天气怎么样？").collectList().block(PATIENCE));

        assertBilled(outputs.get(outputs.size() - 1));
        List<StreamingOutput> rounds = outputs.stream()
                .filter(StreamingOutput.class::isInstance)
                .map(StreamingOutput.class::cast)
                .filter(StreamingOutput::isComplete)
                .toList();
        assertThat(rounds).extracting(NodeOutput::node).containsOnly(ReactAgent.LLM_NODE);
        assertThat(rounds)
                .extracting(output -> output.tokenUsage().inputTokens())
                .containsExactly(5_000L, 8_000L, 6_000L);
        assertThat(rounds)
                .extracting(output -> output.tokenUsage().outputTokens())
                .containsExactly(2_000L, 3_000L, 2_500L);
        assertThat(rounds)
                .extracting(output -> output.runUsage().total().totalTokens())
                .containsExactly(7_000L, 18_000L, 26_500L);
    }

    @Test
    @DisplayName("reads in a call what it is billed")
    void invoked() {
        NodeOutput end = withAgent(
                "dashscope-three-rounds-call", agent -> agent.invoke("上海天气怎么样？").block(PATIENCE));

        assertBilled(end);
        assertThat(ReactAgent.answer(end)).isNotEmpty();
    }

    private static void assertBilled(NodeOutput end) {
        RunUsage usage = end.runUsage();
        assertThat(end.isEnd()).isTrue();
        assertThat(usage.isComplete()).isTrue();
        assertThat(usage.total())
                .extracting(TokenUsage::inputTokens, TokenUsage::outputTokens, TokenUsage::totalTokens)
                .containsExactly(19_000L, 7_500L, 26_500L);
        assertThat(usage.byRound()).containsOnlyKeys(1, 2, 3);
        assertThat(usage.byModel()).containsOnlyKeys("qwen-plus");
        assertThat(usage.byNode()).containsOnlyKeys(ReactAgent.LLM_NODE);
        assertThat(usage.byAgent()).containsOnlyKeys("weather");
    }

    private static <T> T withAgent(String name, Function<ReactAgent, T> app) {
        Scenario scenario = Scenarios.load(name);
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            ReactAgent agent = ReactAgent.builder("weather")
                    .model(DashScopeClient.tapped(provider.baseUrl(), WireTap.create()))
                    .options(DashScopeChatOptions.builder().model("qwen-plus").build())
                    .tools(scenario.tools().stream().map(ThreeRoundsTest::tool).toArray(ToolCallback[]::new))
                    .build();
            return app.apply(agent);
        }
    }

    private static ToolCallback tool(String name) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }
}
