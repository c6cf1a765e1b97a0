package io.fluxtally.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.graph.InterruptedOutput;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.checkpoint.jdbc.JdbcCheckpointSaver;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.wire.Drain;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.h2.jdbcx.JdbcDataSource;
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
import reactor.core.publisher.Flux;

@DisplayName("The README's examples")
class ExamplesTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

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
    private static ChatModel billed(List<AssistantMessage.ToolCall> tools) {
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

    @Test
    @DisplayName("wait for a person, and count on when they have agreed")
    void approval() {
        JdbcDataSource database = new JdbcDataSource();
        database.setURL("jdbc:h2:mem:examples;DB_CLOSE_DELAY=-1");
        new JdbcCheckpointSaver(database).initializeSchema().block(PATIENCE);
        ToolCallback bookTable = FunctionToolCallback.builder("book_table", (Map<String, Object> order) -> "booked")
                .description("Books a table.")
                .inputType(Map.class)
                .build();
        ChatModel model = billed(List.of(new AssistantMessage.ToolCall("1", "function", "book_table", "{}")));
        Approval approval = Approval.create(model, bookTable, database);

        NodeOutput waiting = approval.ask("order 1", "A table for two?").block(PATIENCE);
        assertThat(waiting).isInstanceOf(InterruptedOutput.class);
        assertThat(waiting.runUsage().total()).isEqualTo(TokenUsage.of(100, 5));

        NodeOutput end = approval.approve("order 1").block(PATIENCE);
        assertThat(end.isEnd()).isTrue();
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 10));
    }

    @Test
    @DisplayName("ask again, and then another, and count every try")
    void againstFaults() {
        AtomicInteger tries = new AtomicInteger();
        ChatModel broken = prompt -> {
            tries.incrementAndGet();
            throw new IllegalStateException("overloaded");
        };

        NodeOutput end = AgainstFaults.graph(broken, billed(List.of()))
                .compile()
                .invoke(Map.of())
                .block(PATIENCE);
        assertThat(tries).hasValue(3);
        assertThat(end.attempt()).isOne();
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(100, 5));
        assertThat(end.runUsage().requests()).hasSize(4);

        NodeOutput answer =
                AgainstFaults.agent(broken, billed(List.of())).invoke("Hello").block(PATIENCE);
        assertThat(ReactAgent.answer(answer)).isEqualTo("Sunny.");
        assertThat(tries).hasValue(6);
    }
}
