package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.agent.AgentTool;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.SequentialAgent;
import com.alibaba.cloud.ai.graph.agent.tools.task.DefaultTaskRepository;
import com.alibaba.cloud.ai.graph.agent.tools.task.TaskRepository;
import com.alibaba.cloud.ai.graph.agent.tools.task.TaskToolsBuilder;
import io.fluxtally.usage.scope.RunScope;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;

@DisplayName("An agent that is instrumented")
class AgentsTest {

    @Test
    @DisplayName("twice is instrumented once")
    void twice() throws Exception {
        ReactAgent agent =
                FluxtallyAgents.instrument(Kit.plain(true, UsageAt.RUNNING).threeRounds("weather"));
        CompiledGraph graph = agent.getAndCompileGraph();

        assertThat(FluxtallyAgents.instrument(agent)).isSameAs(agent);
        assertThat(agent.getAndCompileGraph()).isSameAs(graph).isInstanceOf(FluxtallyGraph.class);
    }

    @Test
    @DisplayName("after it has built its graph around its sub-agents builds it anew")
    void afterItsGraph() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.USAGE_ONLY);
        SequentialAgent both = SequentialAgent.builder()
                .name("both")
                .subAgents(List.of(kit.threeRounds("first"), kit.threeRounds("second")))
                .build();
        both.getAndCompileGraph();

        NodeOutput end = kit.stream(kit.agent(both)).blockLast(Kit.PATIENCE);

        assertThat(Outputs.tokens(end)).isEqualTo(53_000);
        assertThat(GraphUsage.of(end).orElseThrow().byAgent()).containsOnlyKeys("first", "second");
    }

    @Test
    @DisplayName("keeps its recursion limit")
    void recursionLimit() throws Exception {
        ReactAgent agent = ReactAgent.builder()
                .name("weather")
                .model(Kit.plain(true, UsageAt.RUNNING).model("weather", Turn.threeRounds("get_weather")))
                .tools(Kit.weather())
                .compileConfig(CompileConfig.builder().recursionLimit(7).build())
                .build();

        assertThat(FluxtallyAgents.instrument(agent).getAndCompileGraph().getMaxIterations())
                .isEqualTo(7);
    }

    @Test
    @DisplayName("of another release stays as it is")
    void anotherRelease() {
        assertThat(AgentInternals.find("1.1.2.2")).isNotNull();
        assertThat(AgentInternals.find(null)).as("a jar that does not say").isNotNull();
        assertThat(AgentInternals.find("1.1.2.3")).isNull();
    }

    @Test
    @DisplayName("whose tools run on further threads books them, with an executor that carries the run")
    void toolsOnFurtherThreads() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.USAGE_ONLY);
        ExecutorService pool = Executors.newFixedThreadPool(2);
        try {
            ReactAgent expert = kit.threeRounds("expert");
            ToolCall call = new ToolCall("call-expert", "function", "expert", "{\"input\":\"Weather?\"}");
            ReactAgent chief = kit.agent(ReactAgent.builder()
                    .name("chief")
                    .model(kit.model("chief", Turn.asks(1_000, 100, call), Turn.says(1_200, 200, "Rain.")))
                    .tools(AgentTool.getFunctionToolCallback(expert))
                    .wrapSyncToolsAsAsync(true)
                    .executor(GraphUsage.inRun(pool))
                    .build());

            assertThat(Outputs.tokens(chief.stream("Weather?").blockLast(Kit.PATIENCE)))
                    .isEqualTo(29_000);
            assertThat(kit.recorder().unattributed()).isZero();
        } finally {
            pool.shutdown();
        }
    }

    @Test
    @DisplayName("books tasks in the background to the run that started them")
    void backgroundTask() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.USAGE_ONLY);
        ExecutorService background = Executors.newSingleThreadExecutor();
        CountDownLatch chiefIsDone = new CountDownLatch(1);
        background.execute(() -> {
            try {
                chiefIsDone.await(60, TimeUnit.SECONDS);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        });
        TaskRepository tasks = FluxtallyAgents.inRun(new DefaultTaskRepository(background));
        ToolCall task = new ToolCall(
                "call-task",
                "function",
                "Task",
                "{\"description\":\"weather\",\"prompt\":\"Weather?\",\"subagent_type\":\"expert\",\"run_in_background\":true}");
        ReactAgent chief = kit.agent(ReactAgent.builder()
                .name("chief")
                .model(kit.model("chief", Turn.asks(1_000, 100, task), Turn.says(1_200, 200, "Rain.")))
                .tools(TaskToolsBuilder.builder()
                        .taskRepository(tasks)
                        .subAgent("expert", kit.threeRounds("expert"))
                        .build())
                .build());
        RunScope run = RunScope.start();

        Integer atTheEnd = Outputs.tokens(run.wrap(kit.stream(chief)).blockLast(Kit.PATIENCE));
        chiefIsDone.countDown();
        background.shutdown();
        assertThat(background.awaitTermination(60, TimeUnit.SECONDS)).isTrue();

        assertThat(atTheEnd).isEqualTo(2_500);
        assertThat(run.usage().total().totalTokens()).isEqualTo(29_000);
        assertThat(kit.recorder().unattributed()).isZero();
    }
}
