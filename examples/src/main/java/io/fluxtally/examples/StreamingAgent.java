package io.fluxtally.examples;

import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.TokenUsage;
import java.util.Map;
import java.util.function.Consumer;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import reactor.core.publisher.Mono;

/** A streaming agent with a tool, and what it used. */
public final class StreamingAgent {

    /** What the tool is asked. */
    public record City(String city) {}

    private StreamingAgent() {}

    /** Asks the agent, hands on its text as it streams, and gives the tokens of the whole run. */
    public static Mono<TokenUsage> ask(ChatModel model, String question, Consumer<String> text) {
        ToolCallback getWeather = FunctionToolCallback.builder(
                        "get_weather", (City city) -> Map.of("weather", "cloudy"))
                .description("Tells the weather in a city.")
                .inputType(City.class)
                .build();
        ReactAgent agent =
                ReactAgent.builder("weather").model(model).tools(getWeather).build();
        return agent.stream(question)
                .doOnNext(output -> {
                    if (output instanceof StreamingOutput chunk) {
                        text.accept(chunk.text());
                    }
                })
                .last()
                .map(NodeOutput::runUsage)
                .map(usage -> usage.total());
    }
}
