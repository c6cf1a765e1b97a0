package io.fluxtally.examples;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.exception.GraphRunnerException;
import com.alibaba.cloud.ai.graph.exception.GraphStateException;
import io.fluxtally.alibaba.FluxtallyAgents;
import io.fluxtally.alibaba.FluxtallyGraph;
import io.fluxtally.alibaba.GraphUsage;
import io.fluxtally.usage.RunUsage;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Mono;

/** Exact usage in the graphs and agents of Spring AI Alibaba. */
public final class SpringAiAlibaba {

    private SpringAiAlibaba() {}

    /** An agent whose usage is exact; its model's HTTP clients are tapped. */
    public static ReactAgent agent(ChatModel model, ToolCallback... tools) {
        ReactAgent agent =
                ReactAgent.builder().name("weather").model(model).tools(tools).build();
        FluxtallyAgents.instrument(agent);
        return agent;
    }

    /** A graph whose usage is exact. */
    public static CompiledGraph graph(StateGraph stateGraph, CompileConfig compileConfig) throws GraphStateException {
        CompiledGraph graph = FluxtallyGraph.compile(stateGraph, compileConfig);
        return graph;
    }

    /** A streamed run, and its total as the app reads it. */
    public static Mono<Integer> total(ReactAgent agent, String question) throws GraphRunnerException {
        return agent.stream(question).last().map(output -> output.tokenUsage().getTotalTokens());
    }

    /** A streamed run, and all that is known of what it used. */
    public static Mono<RunUsage> run(ReactAgent agent, String question) throws GraphRunnerException {
        return agent.stream(question).last().map(output -> GraphUsage.of(output).orElseThrow());
    }

    /** A blocking run, whose answer is a message without usage. */
    public static RunUsage call(ReactAgent agent, String question) throws Exception {
        var measured = GraphUsage.measure(() -> agent.call(question));
        AssistantMessage answer = measured.result();
        RunUsage usage = measured.usage();
        return answer.getText() == null ? RunUsage.EMPTY : usage;
    }

    /** The parts of a total under DashScope's own names, as issue 4488 reads them. */
    public static DashScopeApiSpec.TokenUsage parts(NodeOutput output) {
        DashScopeAiUsage usage = (DashScopeAiUsage) output.tokenUsage();
        return (DashScopeApiSpec.TokenUsage) usage.getNativeUsage();
    }

    /** What all runs of a conversation used. */
    public static RunUsage thread(ReactAgent agent, String threadId) {
        RunnableConfig config = RunnableConfig.builder().threadId(threadId).build();
        return GraphUsage.ofThread(agent.getAndCompileGraph(), config);
    }
}
