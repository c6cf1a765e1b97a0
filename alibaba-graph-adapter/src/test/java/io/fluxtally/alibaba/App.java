package io.fluxtally.alibaba;

import static com.alibaba.cloud.ai.graph.StateGraph.END;
import static com.alibaba.cloud.ai.graph.StateGraph.START;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncMultiCommandAction;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.action.MultiCommand;
import com.alibaba.cloud.ai.graph.agent.AgentTool;
import com.alibaba.cloud.ai.graph.agent.Builder;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.extension.interceptor.SubAgentInterceptor;
import com.alibaba.cloud.ai.graph.agent.flow.agent.LlmRoutingAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.LoopAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.ParallelAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.SequentialAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.loop.LoopMode;
import com.alibaba.cloud.ai.graph.agent.hook.summarization.SummarizationHook;
import com.alibaba.cloud.ai.graph.agent.interceptor.modelfallback.ModelFallbackInterceptor;
import com.alibaba.cloud.ai.graph.agent.interceptor.modelretry.ModelRetryInterceptor;
import com.alibaba.cloud.ai.graph.agent.interceptor.toolemulator.ToolEmulatorInterceptor;
import com.alibaba.cloud.ai.graph.agent.interceptor.toolselection.ToolSelectionInterceptor;
import com.alibaba.cloud.ai.graph.agent.tools.task.TaskToolsBuilder;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import com.alibaba.cloud.ai.graph.checkpoint.savers.MemorySaver;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;

/** An app of the table: a graph or an agent as its author writes it. */
enum App {
    REACT_AGENT("`ReactAgent`, three rounds", "`ReactAgent`，三轮", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(kit.threeRounds("weather")));
        }
    },
    GRAPH("`StateGraph`, three nodes", "`StateGraph`，三个节点", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(nodes(kit, kit::asks)));
        }
    },
    ASYNC_NODES("nodes on threads of their own", "在自己线程上运行的节点", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(nodes(kit, kit::asksElsewhere)));
        }
    },
    GRAPH_FLUX_NODES("nodes that return a `GraphFlux`", "返回 `GraphFlux` 的节点", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(nodes(kit, kit::asksInGraphFlux)));
        }
    },
    TELLING_NODES("nodes that return `_TOKEN_USAGE_`", "自行返回 `_TOKEN_USAGE_` 的节点", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(nodes(kit, kit::asksAndTells)));
        }
    },
    COMPILED_SUB_GRAPH("compiled sub-graph", "已编译的子图", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("sub", nodes(kit, kit::asks).compile(withoutSaver()))
                    .addEdge(START, "sub")
                    .addEdge("sub", END)));
        }
    },
    MERGED_SUB_GRAPH("merged sub-graph", "合并的子图", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("sub", nodes(kit, kit::asks))
                    .addEdge(START, "sub")
                    .addEdge("sub", END)));
        }
    },
    AGENT_AS_NODE("agent `asNode()`", "Agent `asNode()`", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            ReactAgent agent = kit.agent(kit.threeRounds("weather"));
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("weather", agent.asNode())
                    .addEdge(START, "weather")
                    .addEdge("weather", END)));
        }
    },
    AGENT_AS_TOOL("agent as tool, 2 + 3 rounds", "Agent 作为工具，2 + 3 轮", 29_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(asTools(kit, false, kit.threeRounds("expert"))));
        }
    },
    AGENTS_AS_PARALLEL_TOOLS("two agents as parallel tools", "两个 Agent 作为并行工具", 55_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(
                    kit.agent(asTools(kit, true, kit.threeRounds("expert"), kit.threeRounds("other_expert"))));
        }
    },
    SEQUENTIAL("sequential agent, 2 x 3 rounds", "顺序 Agent，2 × 3 轮", 53_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(SequentialAgent.builder()
                    .name("both")
                    .description("One after the other.")
                    .subAgents(List.of(kit.threeRounds("first"), kit.threeRounds("second")))
                    .build()));
        }
    },
    PARALLEL("parallel agent, 2 x 3 rounds", "并行 Agent，2 × 3 轮", 53_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(ParallelAgent.builder()
                    .name("both")
                    .description("Both at once.")
                    .subAgents(List.of(named(kit, "first"), named(kit, "second")))
                    .mergeOutputKey("merged")
                    .build()));
        }

        private ReactAgent named(Kit kit, String name) throws Exception {
            return ReactAgent.builder()
                    .name(name)
                    .description("Knows the weather.")
                    .model(kit.model(name, Turn.threeRounds("get_weather")))
                    .tools(Kit.weather())
                    .outputKey(name + "_answer")
                    .build();
        }
    },
    LOOP("loop agent, 2 x 3 rounds", "循环 Agent，2 × 3 轮", 53_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(LoopAgent.builder()
                    .name("again")
                    .description("Twice.")
                    .subAgent(kit.threeRounds("weather"))
                    .loopStrategy(LoopMode.count(2))
                    .build()));
        }
    },
    ROUTING("routing agent, 1 + 3 calls", "路由 Agent，1 + 3 次调用", 27_960) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(LlmRoutingAgent.builder()
                    .name("router")
                    .description("Knows who knows.")
                    .model(kit.model(
                            "router",
                            Turn.says(1_400, 60, "{\"agents\":[{\"agent\":\"first\",\"query\":\"Weather?\"}]}")))
                    .subAgents(List.of(kit.threeRounds("first"), kit.threeRounds("second")))
                    .build()));
        }
    },
    PARALLEL_EDGES("parallel edges", "并行边", 18_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("fork", nothing())
                    .addNode("left", kit.asks(kit.model("left", Turn.says(5_000, 2_000, "L", "eft"))))
                    .addNode("right", kit.asks(kit.model("right", Turn.says(8_000, 3_000, "Ri", "ght"))))
                    .addNode("join", nothing())
                    .addEdge(START, "fork")
                    .addEdge("fork", "left")
                    .addEdge("fork", "right")
                    .addEdge("left", "join")
                    .addEdge("right", "join")
                    .addEdge("join", END)));
        }
    },
    TELLING_PARALLEL("parallel edges to nodes that return `_TOKEN_USAGE_`", "并行边，节点自行返回 `_TOKEN_USAGE_`", 18_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("fork", nothing())
                    .addNode("left", kit.asksAndTells(kit.model("left", Turn.says(5_000, 2_000, "L", "eft"))))
                    .addNode("right", kit.asksAndTells(kit.model("right", Turn.says(8_000, 3_000, "Ri", "ght"))))
                    .addNode("join", nothing())
                    .addEdge(START, "fork")
                    .addEdge("fork", "left")
                    .addEdge("fork", "right")
                    .addEdge("left", "join")
                    .addEdge("right", "join")
                    .addEdge("join", END)));
        }
    },
    CONDITIONAL_PARALLEL("conditional parallel edges", "条件并行边", 18_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            AsyncMultiCommandAction both =
                    (state, config) -> CompletableFuture.completedFuture(new MultiCommand(List.of("left", "right")));
            return kit.stream(kit.compile(new StateGraph(Kit.keys())
                    .addNode("fork", nothing())
                    .addNode("left", kit.asks(kit.model("left", Turn.says(5_000, 2_000, "L", "eft"))))
                    .addNode("right", kit.asks(kit.model("right", Turn.says(8_000, 3_000, "Ri", "ght"))))
                    .addNode("join", nothing())
                    .addEdge(START, "fork")
                    .addParallelConditionalEdges("fork", both, Map.of("left", "left", "right", "right"))
                    .addEdge("left", "join")
                    .addEdge("right", "join")
                    .addEdge("join", END)));
        }
    },
    RESUME("interrupt and resume", "中断与恢复", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            CompiledGraph graph = kit.compile(
                    nodes(kit, kit::asks),
                    CompileConfig.builder()
                            .saverConfig(SaverConfig.builder()
                                    .register(new MemorySaver())
                                    .build())
                            .interruptBefore("second")
                            .build());
            RunnableConfig config = kit.config().threadId("thread").build();
            graph.stream(Kit.question(), config).collectList().block(Kit.PATIENCE);
            return graph.stream(
                    Map.of(), RunnableConfig.builder(config).resume().build());
        }
    },
    SUMMARISED("summarisation hook", "摘要 Hook", 27_490) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            boolean[] due = {true};
            SummarizationHook hook = SummarizationHook.builder()
                    .model(kit.model("summary", Turn.says(900, 90, "Weather was asked for.")))
                    .maxTokensBeforeSummary(2)
                    .messagesToKeep(2)
                    .tokenCounter(messages -> {
                        boolean now = due[0] && messages.size() > 4;
                        due[0] &= !now;
                        return now ? 3 : 1;
                    })
                    .build();
            return kit.stream(
                    kit.agent(threeRounds(kit, Kit.weather()).hooks(hook).build()));
        }
    },
    TOOL_SELECTION("tool selection", "工具选择", 26_710) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            ToolSelectionInterceptor selection = ToolSelectionInterceptor.builder()
                    .selectionModel(kit.model("selection", Turn.says(60, 10, "{\"tools\":[\"get_weather\"]}")))
                    .maxTools(1)
                    .build();
            return kit.stream(kit.agent(threeRounds(kit, Kit.weather(), Kit.tool("get_time"))
                    .interceptors(selection)
                    .build()));
        }
    },
    TOOL_EMULATION("tool emulation", "工具模拟", 26_900) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            ToolEmulatorInterceptor emulator = ToolEmulatorInterceptor.builder()
                    .model(kit.model("emulator", Turn.says(150, 50, "Rain.")))
                    .emulateAllTools(true)
                    .build();
            return kit.stream(kit.agent(
                    threeRounds(kit, Kit.weather()).interceptors(emulator).build()));
        }
    },
    FALLBACK("model fallback", "模型降级（fallback）", 8_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(ReactAgent.builder()
                    .name("weather")
                    .model(kit.model("primary", Turn.breaks(5_000, 1_000)))
                    .interceptors(ModelFallbackInterceptor.builder()
                            .addFallbackModel(kit.model("fallback", Turn.says(6_000, 2_500, "Rain.")))
                            .build())
                    .build()));
        }
    },
    RETRY("model retry", "模型重试", 26_500) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            return kit.stream(kit.agent(ReactAgent.builder()
                    .name("weather")
                    .model(kit.model(
                            "weather",
                            Turn.asks(5_000, 2_000, "get_weather"),
                            Turn.breaks(5_000, 1_000),
                            Turn.asks(8_000, 3_000, "get_weather"),
                            Turn.says(6_000, 2_500, "Rain.")))
                    .tools(Kit.weather())
                    .interceptors(ModelRetryInterceptor.builder()
                            .maxAttempts(2)
                            .initialDelay(0)
                            .retryableExceptionPredicate(error -> true)
                            .build())
                    .build()));
        }
    },
    TASK_TOOL("task tool, 2 + 3 rounds", "任务工具，2 + 3 轮", 29_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            List<ToolCallback> tools = TaskToolsBuilder.builder()
                    .subAgent("expert", kit.threeRounds("expert"))
                    .build();
            ToolCall task = new ToolCall(
                    "call-task",
                    "function",
                    "Task",
                    "{\"description\":\"weather\",\"prompt\":\"Weather?\",\"subagent_type\":\"expert\"}");
            return kit.stream(kit.agent(ReactAgent.builder()
                    .name("chief")
                    .model(kit.model("chief", Turn.asks(1_000, 100, task), Turn.says(1_200, 200, "Rain.")))
                    .tools(tools)
                    .build()));
        }
    },
    SUB_AGENT_INTERCEPTOR("sub-agent interceptor, 2 + 3 rounds", "子 Agent 拦截器，2 + 3 轮", 29_000) {
        @Override
        Flux<NodeOutput> run(Kit kit) throws Exception {
            ToolCall task = new ToolCall(
                    "call-task", "function", "task", "{\"description\":\"Weather?\",\"subagent_type\":\"expert\"}");
            return kit.stream(kit.agent(ReactAgent.builder()
                    .name("chief")
                    .model(kit.model("chief", Turn.asks(1_000, 100, task), Turn.says(1_200, 200, "Rain.")))
                    .interceptors(SubAgentInterceptor.builder()
                            .addSubAgent("expert", kit.threeRounds("expert"))
                            .includeGeneralPurpose(false)
                            .build())
                    .build()));
        }
    };

    private final String title;
    private final String chinese;
    private final int billed;

    App(String title, String chinese, int billed) {
        this.title = title;
        this.chinese = chinese;
        this.billed = billed;
    }

    /** What the app is, for a table. */
    String title() {
        return title;
    }

    /** The same in Chinese. */
    String chinese() {
        return chinese;
    }

    /** What it is billed, of which all is reported. */
    int billed() {
        return billed;
    }

    /** Builds and runs it. */
    abstract Flux<NodeOutput> run(Kit kit) throws Exception;

    private static StateGraph nodes(Kit kit, Function<ChatModel, AsyncNodeActionWithConfig> asking) throws Exception {
        return new StateGraph(Kit.keys())
                .addNode("first", asking.apply(kit.model("first", Turn.says(5_000, 2_000, "Cl", "ouds"))))
                .addNode("second", asking.apply(kit.model("second", Turn.says(8_000, 3_000, "Ra", "in"))))
                .addNode("third", asking.apply(kit.model("third", Turn.says(6_000, 2_500, "S", "un"))))
                .addEdge(START, "first")
                .addEdge("first", "second")
                .addEdge("second", "third")
                .addEdge("third", END);
    }

    private static Builder threeRounds(Kit kit, ToolCallback... tools) {
        return ReactAgent.builder()
                .name("weather")
                .model(kit.model("weather", Turn.threeRounds("get_weather")))
                .tools(tools);
    }

    private static ReactAgent asTools(Kit kit, boolean parallel, ReactAgent... experts) throws Exception {
        ToolCallback[] tools = new ToolCallback[experts.length];
        ToolCall[] calls = new ToolCall[experts.length];
        for (int i = 0; i < experts.length; i++) {
            tools[i] = AgentTool.getFunctionToolCallback(experts[i]);
            calls[i] = new ToolCall("call-" + i, "function", experts[i].name(), "{\"input\":\"Weather?\"}");
        }
        return ReactAgent.builder()
                .name("chief")
                .model(kit.model("chief", Turn.asks(1_000, 100, calls), Turn.says(1_200, 200, "Rain.")))
                .tools(tools)
                .parallelToolExecution(parallel)
                .build();
    }

    private static AsyncNodeActionWithConfig nothing() {
        return AsyncNodeActionWithConfig.node_async((state, config) -> Map.of());
    }

    private static CompileConfig withoutSaver() {
        return CompileConfig.builder().saverConfig(new SaverConfig()).build();
    }
}
