package io.fluxtally.alibaba;

import static com.alibaba.cloud.ai.graph.StateGraph.END;
import static com.alibaba.cloud.ai.graph.StateGraph.START;
import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.InterruptionMetadata;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.hook.hip.HumanInTheLoopHook;
import com.alibaba.cloud.ai.graph.agent.hook.hip.ToolConfig;
import com.alibaba.cloud.ai.graph.checkpoint.BaseCheckpointSaver;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import com.alibaba.cloud.ai.graph.checkpoint.savers.MemorySaver;
import com.alibaba.cloud.ai.graph.checkpoint.savers.file.FileSystemSaver;
import com.alibaba.cloud.ai.graph.checkpoint.savers.postgresql.PostgresSaver;
import com.alibaba.cloud.ai.graph.state.StateSnapshot;
import io.fluxtally.usage.RunUsage;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.File;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("A run that was interrupted")
class ResumeTest {

    @TempDir
    Path folder;

    private FileSystemSaver files() {
        return FileSystemSaver.builder()
                .targetFolder(folder)
                .stateSerializer(StateGraph.DEFAULT_JACKSON_SERIALIZER)
                .build();
    }

    private static Integer total(List<NodeOutput> outputs) {
        return Outputs.tokens(Outputs.last(outputs));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("carries the total so far, and resumed the whole (T10)")
    void inMemory(boolean streaming) throws Exception {
        Kit kit = Kit.measured(streaming, UsageAt.USAGE_ONLY);
        CompiledGraph graph = Interrupted.graph(kit, new MemorySaver(), "second", "third");

        List<NodeOutput> first = Interrupted.start(graph);
        List<NodeOutput> second = Interrupted.resume(graph);
        List<NodeOutput> third = Interrupted.resume(graph);

        assertThat(Outputs.last(first)).isInstanceOf(InterruptionMetadata.class);
        assertThat(total(first)).isEqualTo(7_000);
        assertThat(total(second)).isEqualTo(18_000);
        assertThat(total(third)).isEqualTo(26_500);
        RunUsage usage = GraphUsage.of(Outputs.last(third)).orElseThrow();
        assertThat(usage.isComplete()).isTrue();
        assertThat(usage.byNode()).containsOnlyKeys("first", "second", "third");
        assertThat(kit.recorder().processSum().total().totalTokens())
                .as("booked once")
                .isEqualTo(26_500);
        assertThat(GraphUsage.of(Outputs.last(first)).orElseThrow().requests())
                .extracting(request -> request.runId())
                .containsOnly(usage.requests().get(2).runId());
    }

    @ParameterizedTest(name = "DashScope's client: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("goes on from a folder, in another process, which may lack DashScope's client (T10)")
    void inAnotherProcess(boolean dashScope) throws Exception {
        String classPath = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry ->
                        dashScope || !Path.of(entry).getFileName().toString().startsWith("spring-ai-alibaba-dashscope"))
                .collect(Collectors.joining(File.pathSeparator));
        Process first = new ProcessBuilder(
                        ProcessHandle.current().info().command().orElseThrow(),
                        "-cp",
                        classPath,
                        Interrupted.class.getName(),
                        folder.toString())
                .inheritIO()
                .start();
        assertThat(first.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(first.exitValue()).isZero();

        Kit kit = Kit.measured(true, UsageAt.USAGE_ONLY);
        List<NodeOutput> outputs = Interrupted.resume(Interrupted.graph(kit, files(), "second"));

        assertThat(total(outputs)).isEqualTo(26_500);
        assertThat(kit.recorder().processSum().total().totalTokens())
                .as("booked in this process")
                .isEqualTo(19_500);
    }

    @Test
    @DisplayName("goes on from PostgreSQL (T10)")
    void inPostgres() throws Exception {
        try (EmbeddedPostgres server = EmbeddedPostgres.start()) {
            Interrupted.start(Interrupted.graph(Kit.measured(true, UsageAt.RUNNING), postgres(server, true), "second"));

            List<NodeOutput> outputs = Interrupted.resume(
                    Interrupted.graph(Kit.measured(true, UsageAt.RUNNING), postgres(server, false), "second"));

            assertThat(total(outputs)).isEqualTo(26_500);
        }
    }

    private static BaseCheckpointSaver postgres(EmbeddedPostgres server, boolean isNew) {
        return PostgresSaver.builder()
                .host("localhost")
                .port(server.getPort())
                .user("postgres")
                .password("postgres")
                .database("postgres")
                .stateSerializer(StateGraph.DEFAULT_JACKSON_SERIALIZER)
                .createTables(isNew)
                .build();
    }

    @Test
    @DisplayName("forks from its checkpoints, each fork with what came before it once (T10)")
    void forks() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.LAST_CONTENT);
        CompiledGraph graph = Interrupted.graph(kit, new MemorySaver());
        assertThat(total(Interrupted.start(graph))).isEqualTo(26_500);
        StateSnapshot afterFirst = graph.getStateHistory(Interrupted.THREAD).stream()
                .filter(snapshot -> snapshot.node().equals("first"))
                .findFirst()
                .orElseThrow();
        RunnableConfig fork = RunnableConfig.builder(Interrupted.THREAD)
                .checkPointId(afterFirst.config().checkPointId().orElseThrow())
                .build();

        assertThat(total(Interrupted.resume(graph, fork)))
                .as("the first node once, the others as they were really run again")
                .isEqualTo(26_500);
        assertThat(total(Interrupted.resume(graph, fork))).isEqualTo(26_500);

        assertThat(GraphUsage.ofThread(graph, Interrupted.THREAD).total().totalTokens())
                .as("what the thread was billed in all")
                .isEqualTo(7_000 + 3 * 19_500);
    }

    @Test
    @DisplayName("goes on when its state was changed in between")
    void changedInBetween() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.LAST_CONTENT);
        CompiledGraph graph = Interrupted.graph(kit, new MemorySaver(), "second");
        Interrupted.start(graph);

        RunnableConfig changed = graph.updateState(Interrupted.THREAD, Map.of("input", "Sure?"));
        List<NodeOutput> outputs = Interrupted.resume(
                graph, RunnableConfig.builder(changed).resume().build());

        assertThat(Outputs.last(outputs).state().data()).containsEntry("input", "Sure?");
        assertThat(total(outputs)).isEqualTo(26_500);
    }

    @Test
    @DisplayName("that begins anew on its thread counts from zero; the thread has both")
    void nextTurn() throws Exception {
        CompiledGraph graph = Interrupted.graph(Kit.measured(true, UsageAt.LAST_CONTENT), new MemorySaver());

        assertThat(total(Interrupted.start(graph))).isEqualTo(26_500);
        assertThat(total(Interrupted.start(graph))).isEqualTo(26_500);

        assertThat(GraphUsage.ofThread(graph, Interrupted.THREAD).total().totalTokens())
                .isEqualTo(53_000);
    }

    @Test
    @DisplayName("goes on from a checkpoint of before, with what is used from then on")
    void oldCheckpoint() throws Exception {
        MemorySaver saver = new MemorySaver();
        Interrupted.start(Interrupted.graph(Kit.plain(true, UsageAt.LAST_CONTENT), saver, "second"));

        List<NodeOutput> outputs =
                Interrupted.resume(Interrupted.graph(Kit.measured(true, UsageAt.LAST_CONTENT), saver, "second"));

        assertThat(total(outputs)).isEqualTo(19_500);
    }

    @Test
    @DisplayName("goes on without Fluxtally too")
    void backToPlain() throws Exception {
        MemorySaver saver = new MemorySaver();
        Interrupted.start(Interrupted.graph(Kit.measured(true, UsageAt.LAST_CONTENT), saver, "second"));

        List<NodeOutput> outputs =
                Interrupted.resume(Interrupted.graph(Kit.plain(true, UsageAt.LAST_CONTENT), saver, "second"));

        assertThat(Outputs.last(outputs).isEND()).isTrue();
    }

    @Test
    @DisplayName("shows what is stored for it to nobody, and its saver as the app gave it")
    void unseen() throws Exception {
        MemorySaver saver = new MemorySaver();
        CompiledGraph graph = Interrupted.graph(Kit.measured(true, UsageAt.LAST_CONTENT), saver, "second");

        List<NodeOutput> outputs = Interrupted.start(graph);
        outputs.addAll(Interrupted.resume(graph));

        assertThat(outputs)
                .allSatisfy(output -> assertThat(output.state().data()).doesNotContainKey(StoredUsage.KEY));
        assertThat(graph.getState(Interrupted.THREAD).state().data()).doesNotContainKey(StoredUsage.KEY);
        assertThat(graph.getStateHistory(Interrupted.THREAD))
                .allSatisfy(snapshot -> assertThat(snapshot.state().data()).doesNotContainKey(StoredUsage.KEY));
        assertThat(graph.getInitialState(Map.of(), Interrupted.THREAD)).doesNotContainKey(StoredUsage.KEY);
        assertThat(graph.compileConfig.checkpointSaver()).containsSame(saver);
        assertThat(saver.list(Interrupted.THREAD))
                .as("where it is stored")
                .allSatisfy(checkpoint -> assertThat(checkpoint.getState()).containsKey(StoredUsage.KEY));
    }

    @Test
    @DisplayName("asks its saver for no more than without Fluxtally")
    void asOftenAsBefore() throws Exception {
        List<Integer> asked = new ArrayList<>();
        for (Kit kit : List.of(Kit.plain(true, UsageAt.RUNNING), Kit.measured(true, UsageAt.RUNNING))) {
            AtomicInteger calls = new AtomicInteger();
            CompiledGraph graph = Interrupted.graph(kit, counting(new MemorySaver(), calls), "second");
            Interrupted.start(graph);
            Interrupted.resume(graph);
            asked.add(calls.get());
        }

        assertThat(asked.get(1)).isPositive().isEqualTo(asked.get(0));
    }

    private static BaseCheckpointSaver counting(BaseCheckpointSaver saver, AtomicInteger calls) {
        return (BaseCheckpointSaver) Proxy.newProxyInstance(
                ResumeTest.class.getClassLoader(),
                new Class<?>[] {BaseCheckpointSaver.class},
                (proxy, method, args) -> {
                    if (method.getDeclaringClass() == BaseCheckpointSaver.class) {
                        calls.incrementAndGet();
                    }
                    return method.invoke(saver, args);
                });
    }

    @Test
    @DisplayName("or ended shows nothing of it in snapshots, nor in the checkpoints that a graph releases")
    void unseenInSnapshots() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.LAST_CONTENT);
        CompiledGraph graph = kit.compile(
                new StateGraph(Kit.keys())
                        .addNode("asks", kit.asks(kit.model("asks", Turn.says(60, 10, "S", "un"))))
                        .addEdge(START, "asks")
                        .addEdge("asks", END),
                CompileConfig.builder()
                        .saverConfig(SaverConfig.builder()
                                .register(new MemorySaver())
                                .build())
                        .releaseThread(true)
                        .build());

        List<NodeOutput> snapshots = graph.streamSnapshots(Kit.question(), Interrupted.THREAD)
                .collectList()
                .block(Kit.PATIENCE);
        Object released = graph.graphResponseStream(Kit.question(), Interrupted.THREAD)
                .blockLast(Kit.PATIENCE)
                .resultValue()
                .orElseThrow();

        assertThat(snapshots)
                .hasAtLeastOneElementOfType(StateSnapshot.class)
                .allSatisfy(snapshot -> assertThat(snapshot.state().data()).doesNotContainKey(StoredUsage.KEY));
        assertThat(total(snapshots)).isEqualTo(70);
        assertThat(((BaseCheckpointSaver.Tag) released).checkpoints())
                .isNotEmpty()
                .allSatisfy(checkpoint -> assertThat(checkpoint.getState()).doesNotContainKey(StoredUsage.KEY));
    }

    @Test
    @DisplayName("inside a compiled sub-graph counts both parts of that once")
    void subGraph() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.LAST_CONTENT);
        MemorySaver saver = new MemorySaver();
        CompileConfig config = CompileConfig.builder()
                .saverConfig(SaverConfig.builder().register(saver).build())
                .build();
        CompiledGraph graph = kit.compile(
                new StateGraph(Kit.keys())
                        .addNode("before", kit.asks(kit.model("before", Turn.says(900, 100, "Well."))))
                        .addNode("sub", Interrupted.graph(kit, saver, "second"))
                        .addEdge(START, "before")
                        .addEdge("before", "sub")
                        .addEdge("sub", END),
                config);

        List<NodeOutput> first = Interrupted.start(graph);
        List<NodeOutput> second = Interrupted.resume(graph);

        assertThat(total(first)).isEqualTo(8_000);
        assertThat(Outputs.last(second).isEND()).isTrue();
        assertThat(total(second)).isEqualTo(27_500);
        assertThat(kit.recorder().processSum().total().totalTokens()).isEqualTo(27_500);
    }

    @Test
    @DisplayName("by a human in the loop of an agent goes on with the round after it")
    void humanInTheLoop() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.USAGE_ONLY);
        ReactAgent agent = kit.agent(ReactAgent.builder()
                .name("weather")
                .model(kit.model("weather", Turn.threeRounds("get_weather")))
                .tools(Kit.weather())
                .hooks(HumanInTheLoopHook.builder()
                        .approvalOn(
                                "get_weather",
                                ToolConfig.builder().description("May it?").build())
                        .build())
                .saver(new MemorySaver())
                .build());

        NodeOutput output = agent.stream("Weather?", Interrupted.THREAD).blockLast(Kit.PATIENCE);
        assertThat(Outputs.tokens(output)).isEqualTo(7_000);
        output = approve(agent, output);
        assertThat(Outputs.tokens(output)).isEqualTo(18_000);
        output = approve(agent, output);

        assertThat(output.isEND()).isTrue();
        assertThat(Outputs.tokens(output)).isEqualTo(26_500);
        assertThat(GraphUsage.of(output).orElseThrow().byRound()).containsOnlyKeys(1, 2, 3);
    }

    private static NodeOutput approve(ReactAgent agent, NodeOutput interruption) throws Exception {
        InterruptionMetadata asked = (InterruptionMetadata) interruption;
        InterruptionMetadata.Builder answer =
                InterruptionMetadata.builder().nodeId(asked.node()).state(asked.state());
        asked.toolFeedbacks()
                .forEach(feedback -> answer.addToolFeedback(InterruptionMetadata.ToolFeedback.builder(feedback)
                        .result(InterruptionMetadata.ToolFeedback.FeedbackResult.APPROVED)
                        .build()));
        return agent.stream(
                        "",
                        RunnableConfig.builder(Interrupted.THREAD)
                                .addHumanFeedback(answer.build())
                                .build())
                .blockLast(Kit.PATIENCE);
    }
}
