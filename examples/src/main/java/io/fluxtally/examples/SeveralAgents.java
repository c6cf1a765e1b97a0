package io.fluxtally.examples;

import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RunUsage;
import java.util.Map;
import org.springframework.ai.chat.model.ChatModel;
import reactor.core.publisher.Mono;

/** Agents that work at once in a graph, and one that asks another, and what each used. */
public final class SeveralAgents {

    private SeveralAgents() {}

    /** Asks two agents at once, a third to join what they say, and gives what the whole run used. */
    public static Mono<RunUsage> sideBySide(ChatModel model, String question) {
        ReactAgent weather = ReactAgent.builder("weather").model(model).build();
        ReactAgent sights = ReactAgent.builder("sights").model(model).build();
        ReactAgent guide = ReactAgent.builder("guide").model(model).build();
        CompiledGraph trip = new StateGraph("trip")
                .addNode("weather", weather.asNode(state -> question, "forecast"))
                .addNode("sights", sights.asNode(state -> question, "tips"))
                .addNode("guide", guide.asNode(state -> "Plan a day: " + state.values(), "plan"))
                .addEdge(StateGraph.START, "weather")
                .addEdge(StateGraph.START, "sights")
                .addEdge("weather", "guide")
                .addEdge("sights", "guide")
                .addEdge("guide", StateGraph.END)
                .compile();
        return trip.stream(Map.of()).last().map(NodeOutput::runUsage);
    }

    /** Asks an agent that may ask another, and gives what the whole run used. */
    public static Mono<RunUsage> asTool(ChatModel model, ChatModel weatherModel, String question) {
        ReactAgent weather = ReactAgent.builder("weather").model(weatherModel).build();
        ReactAgent guide = ReactAgent.builder("guide")
                .model(model)
                .tools(weather.asTool("get_weather", "Knows the weather everywhere."))
                .build();
        return guide.stream(question).last().map(NodeOutput::runUsage);
    }
}
