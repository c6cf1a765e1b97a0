package io.fluxtally.examples;

import static io.fluxtally.examples.ExamplesTest.PATIENCE;
import static io.fluxtally.examples.ExamplesTest.billed;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.InterruptedOutput;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.checkpoint.jdbc.JdbcCheckpointSaver;
import io.fluxtally.usage.TokenUsage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;

@DisplayName("The examples of the graph's page")
class GraphExamplesTest {

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
