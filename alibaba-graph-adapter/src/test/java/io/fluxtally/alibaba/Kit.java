package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.KeyStrategy;
import com.alibaba.cloud.ai.graph.KeyStrategyFactory;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.agent.Agent;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import com.alibaba.cloud.ai.graph.state.strategy.AppendStrategy;
import com.alibaba.cloud.ai.graph.streaming.GraphFlux;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ForkJoinPool;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import reactor.core.publisher.Flux;

/** What an app of the table is built with: with Fluxtally or without, streaming or calling. */
final class Kit {

    static final Duration PATIENCE = Duration.ofSeconds(60);

    private final boolean measured;
    private final boolean streaming;
    private final UsageAt usageAt;
    private final boolean dashScope;
    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private boolean decorated = true;
    private final List<ScriptedModel> models = new ArrayList<>();

    private Kit(boolean measured, boolean streaming, UsageAt usageAt, boolean dashScope) {
        this.measured = measured;
        this.streaming = streaming;
        this.usageAt = usageAt;
        this.dashScope = dashScope;
    }

    static Kit plain(boolean streaming, UsageAt usageAt) {
        return new Kit(false, streaming, usageAt, false);
    }

    static Kit measured(boolean streaming, UsageAt usageAt) {
        return new Kit(true, streaming, usageAt, false);
    }

    Kit ofDashScope() {
        return new Kit(measured, streaming, usageAt, true);
    }

    @Override
    public String toString() {
        return (streaming ? "stream, " + usageAt.words() : "call") + (measured ? ", measured" : "");
    }

    /** With models as they are: nothing hears them but the graph itself. */
    Kit withRawModels() {
        decorated = false;
        return this;
    }

    boolean isMeasured() {
        return measured;
    }

    boolean isStreaming() {
        return streaming;
    }

    UsageRecorder recorder() {
        return recorder;
    }

    /** What all models were asked. */
    List<Prompt> prompts() {
        return models.stream().flatMap(model -> model.prompts().stream()).toList();
    }

    ChatModel model(String name, Turn... turns) {
        ScriptedModel model = new ScriptedModel(name, usageAt, dashScope, turns);
        models.add(model);
        return measured && decorated ? UsageChatModel.of(model, recorder) : model;
    }

    <A extends Agent> A agent(A agent) {
        return measured ? FluxtallyAgents.instrument(agent, recorder) : agent;
    }

    ReactAgent threeRounds(String name) throws Exception {
        return ReactAgent.builder()
                .name(name)
                .description("Knows the weather.")
                .model(model(name, Turn.threeRounds("get_weather")))
                .tools(weather())
                .build();
    }

    CompiledGraph compile(StateGraph graph) throws GraphStateException {
        return compile(graph, CompileConfig.builder().build());
    }

    CompiledGraph compile(StateGraph graph, CompileConfig config) throws GraphStateException {
        return measured ? FluxtallyGraph.compile(graph, config, recorder) : graph.compile(config);
    }

    static KeyStrategyFactory keys() {
        return () -> {
            Map<String, KeyStrategy> strategies = new HashMap<>();
            strategies.put("messages", new AppendStrategy());
            return strategies;
        };
    }

    /** A node that asks a model, and hands on what it answers. */
    AsyncNodeActionWithConfig asks(ChatModel model) {
        return AsyncNodeActionWithConfig.node_async((state, config) -> Map.of("messages", ask(model)));
    }

    /** A node that asks a model on a thread of its own. */
    AsyncNodeActionWithConfig asksElsewhere(ChatModel model) {
        return (state, config) -> CompletableFuture.supplyAsync(
                () -> Map.of("messages", ask(model)),
                measured ? GraphUsage.inRun(ForkJoinPool.commonPool()) : ForkJoinPool.commonPool());
    }

    /** A node that asks a model, and hands on what it answers in the graph's own wrapping. */
    AsyncNodeActionWithConfig asksInGraphFlux(ChatModel model) {
        return AsyncNodeActionWithConfig.node_async((state, config) -> Map.of(
                "messages",
                streaming
                        ? GraphFlux.of("said", "messages", model.stream(new Prompt("Weather?")), null, null)
                        : ask(model)));
    }

    /** A node that asks a model, and says what it used. */
    AsyncNodeActionWithConfig asksAndTells(ChatModel model) {
        return AsyncNodeActionWithConfig.node_async((state, config) -> {
            ChatResponse response = model.call(new Prompt("Weather?"));
            return Map.of(
                    "messages", response.getResult().getOutput(),
                    "_TOKEN_USAGE_", response.getMetadata().getUsage());
        });
    }

    private Object ask(ChatModel model) {
        Prompt prompt = new Prompt("Weather?");
        return streaming ? model.stream(prompt) : model.call(prompt).getResult().getOutput();
    }

    static ToolCallback weather() {
        return tool("get_weather");
    }

    static ToolCallback tool(String name) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }

    static Map<String, Object> question() {
        return Map.of("messages", List.of(new UserMessage("Weather?")), "input", "Weather?");
    }

    RunnableConfig.Builder config() {
        return RunnableConfig.builder().addMetadata("_stream_", streaming);
    }

    Flux<NodeOutput> stream(CompiledGraph graph) {
        return graph.stream(question(), config().build());
    }

    Flux<NodeOutput> stream(Agent agent) {
        return agent.getAndCompileGraph().stream(
                question(), config().addMetadata("_AGENT_", agent.name()).build());
    }
}
