package io.fluxtally.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.Drain;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import reactor.core.publisher.Flux;

@DisplayName("The README's examples")
class ExamplesTest {

    static final Duration PATIENCE = Duration.ofSeconds(60);

    @Test
    @DisplayName("read what a streamed agent with a tool is billed")
    void streamingAgent() {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("dashscope-tool-loop-stream"))) {
            ChatModel model = AnyChatModel.dashScope(provider.baseUrl(), "none");
            StringBuilder text = new StringBuilder();

            TokenUsage usage = StreamingAgent.ask(model, "How is the weather?", text::append)
                    .block(PATIENCE);

            assertThat(usage.inputTokens()).isEqualTo(460);
            assertThat(usage.outputTokens()).isEqualTo(26);
            assertThat(text).isNotEmpty();
        }
    }

    @Test
    @DisplayName("read what an agent of Spring AI Alibaba is billed, in a stream and in a call")
    void springAiAlibaba() throws Exception {
        Scenario stream = Scenarios.load("dashscope-three-rounds-running-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(stream)) {
            assertThat(SpringAiAlibaba.total(alibabaAgent(stream, provider.baseUrl("total")), "Weather?")
                            .block(PATIENCE))
                    .isEqualTo(26_500);
            assertThat(SpringAiAlibaba.run(alibabaAgent(stream, provider.baseUrl("run")), "Weather?")
                            .block(PATIENCE)
                            .byRound())
                    .containsOnlyKeys(1, 2, 3);
            NodeOutput end = alibabaAgent(stream, provider.baseUrl("parts")).stream("Weather?")
                    .blockLast(PATIENCE);
            assertThat(SpringAiAlibaba.parts(end).promptTokenDetailed().cachedTokens())
                    .isEqualTo(9_984);
        }
        Scenario call = Scenarios.load("dashscope-three-rounds-call");
        try (LoopbackProvider provider = LoopbackProvider.start(call)) {
            assertThat(SpringAiAlibaba.call(alibabaAgent(call, provider.baseUrl()), "Weather?")
                            .total()
                            .totalTokens())
                    .isEqualTo(26_500);
        }
    }

    private static ReactAgent alibabaAgent(Scenario scenario, String baseUrl) {
        return SpringAiAlibaba.agent(
                AnyChatModel.dashScope(baseUrl, "none"),
                scenario.tools().stream().map(ExamplesTest::tool).toArray(ToolCallback[]::new));
    }

    private static ToolCallback tool(String name) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }

    @Test
    @DisplayName("read what a streamed call is billed")
    void streamedCall() {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("dashscope-plain-stream"))) {
            ChatModel model = AnyChatModel.dashScope(provider.baseUrl(), "none");

            RunUsage usage = AnyChatModel.stream(model, "Hello").block(PATIENCE);

            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.total().totalTokens()).isPositive();
        }
    }

    @Test
    @DisplayName("read what a blocking call is billed")
    void blockingCall() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("dashscope-call"))) {
            ChatModel model = AnyChatModel.dashScope(provider.baseUrl(), "none");

            RunUsage usage = AnyChatModel.call(model, "Hello");

            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.total().totalTokens()).isPositive();
        }
    }

    @Test
    @DisplayName("estimate what a provider does not report, and drain within limits")
    void leavingEarly() throws Exception {
        ChatModel silent = prompt -> new ChatResponse(List.of(new Generation(new AssistantMessage("hello"))));
        RunScope run = RunScope.start();

        run.call(() -> LeavingEarly.estimating(silent).call(new Prompt("Hello")));

        assertThat(run.usage().requests()).extracting(RequestUsage::source).containsExactly(UsageSource.ESTIMATED);
        assertThat(run.usage().total().outputTokens()).isEqualTo(1);
        assertThat(LeavingEarly.draining().drain()).isEqualTo(Drain.upTo(Duration.ofSeconds(30), 1_000_000));
    }

    /** A model that is billed 100 and 5 for each request, and first asks for the given tool if there is one. */
    static ChatModel billed(List<AssistantMessage.ToolCall> tools) {
        return new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                boolean told = prompt.getInstructions().stream().anyMatch(ToolResponseMessage.class::isInstance);
                AssistantMessage answer = AssistantMessage.builder()
                        .content("Sunny.")
                        .toolCalls(told ? List.of() : tools)
                        .build();
                ChatResponseMetadata metadata = ChatResponseMetadata.builder()
                        .usage(new DefaultUsage(100, 5))
                        .build();
                return new ChatResponse(List.of(new Generation(answer)), metadata);
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return Flux.just(call(prompt));
            }
        };
    }

    @Test
    @DisplayName("read what agents at once are billed, each under its name")
    void sideBySide() {
        RunUsage usage =
                SeveralAgents.sideBySide(billed(List.of()), "What to do?").block(PATIENCE);

        assertThat(usage.byAgent()).containsOnlyKeys("weather", "sights", "guide");
        assertThat(usage.total()).isEqualTo(TokenUsage.of(300, 15));
        assertThat(usage.isComplete()).isTrue();
    }

    @Test
    @DisplayName("read what an agent that asks another is billed, each under its name")
    void agentAsTool() {
        AssistantMessage.ToolCall ask =
                new AssistantMessage.ToolCall("1", "function", "get_weather", "{\"question\":\"Sunny?\"}");

        RunUsage usage = SeveralAgents.asTool(billed(List.of(ask)), billed(List.of()), "What to do?")
                .block(PATIENCE);

        assertThat(usage.byAgent().get("guide").total()).isEqualTo(TokenUsage.of(200, 10));
        assertThat(usage.byAgent().get("weather").total()).isEqualTo(TokenUsage.of(100, 5));
    }
}
