package io.fluxtally.examples;

import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeConfig;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.agent.LlmNode;
import io.fluxtally.graph.agent.ReactAgent;
import java.time.Duration;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.util.retry.Retry;

/** Models that fail, hang or are overloaded: asked again, in time, or not at all any more. */
public final class AgainstFaults {

    private AgainstFaults() {}

    /** A graph whose one node asks a model, again if it fails, and then another. */
    public static StateGraph graph(ChatModel model, ChatModel otherModel) {
        LlmNode ask = new LlmNode(model, state -> new Prompt("Say something kind."), "answers");
        NodeConfig patient = NodeConfig.DEFAULT
                .withTimeout(Duration.ofSeconds(30))
                .withRetry(Retry.backoff(2, Duration.ofMillis(500)))
                .withFallback(ask.asking(otherModel));
        return new StateGraph("kind")
                .keyStrategy("answers", KeyStrategy.APPEND)
                .addNode("ask", ask, patient)
                .addEdge(StateGraph.START, "ask")
                .addEdge("ask", StateGraph.END);
    }

    /** An agent that does so in each of its rounds. */
    public static ReactAgent agent(ChatModel model, ChatModel otherModel) {
        return ReactAgent.builder("patient")
                .model(model)
                .fallbackModels(otherModel)
                .timeout(Duration.ofSeconds(30))
                .retry(Retry.backoff(2, Duration.ofMillis(500)))
                .build();
    }
}
