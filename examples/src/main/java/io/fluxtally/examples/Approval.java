package io.fluxtally.examples;

import io.fluxtally.graph.GraphThread;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.jdbc.JdbcCheckpointSaver;
import java.util.Map;
import javax.sql.DataSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Mono;

/** An agent that waits for a person before it runs a tool, for as long as that takes. */
public final class Approval {

    private final ReactAgent agent;

    private Approval(ReactAgent agent) {
        this.agent = agent;
    }

    /** An agent whose runs are saved in a database. */
    public static Approval create(ChatModel model, ToolCallback bookTable, DataSource dataSource) {
        CheckpointSaver saver = new JdbcCheckpointSaver(dataSource);
        ReactAgent agent = ReactAgent.builder("bookings")
                .model(model)
                .tools(bookTable)
                .checkpoints(saver)
                .interruptBefore(ReactAgent.TOOL_NODE)
                .build();
        return new Approval(agent);
    }

    /** Asks; the last output is an {@code InterruptedOutput} if there is something to approve. */
    public Mono<NodeOutput> ask(String orderId, String question) {
        return agent.thread(orderId).stream(ReactAgent.asking(question)).last();
    }

    /** Goes on, perhaps days later and in another process. Its {@code runUsage()} has what was used before, too. */
    public Mono<NodeOutput> approve(String orderId) {
        GraphThread thread = agent.thread(orderId);
        return thread.resumeStream(Map.of()).last();
    }
}
