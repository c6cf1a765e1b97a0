package io.fluxtally.alibaba;

import static com.alibaba.cloud.ai.graph.StateGraph.END;
import static com.alibaba.cloud.ai.graph.StateGraph.START;
import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.CompiledGraph;
import com.alibaba.cloud.ai.graph.NodeAggregationStrategy;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.StateGraph;
import com.alibaba.cloud.ai.graph.action.AsyncNodeActionWithConfig;
import com.alibaba.cloud.ai.graph.agent.AgentTool;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

@DisplayName("Runs")
class RunsApartTest {

    private static final int RUNS = 200;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName("of one agent, 200 at once, never see each other's tokens (T18)")
    void atOnce(boolean streaming) throws Exception {
        UsageRecorder recorder = UsageRecorder.withSinks();
        ReactAgent agent = FluxtallyAgents.instrument(
                ReactAgent.builder()
                        .name("weather")
                        .model(UsageChatModel.of(new CountingModel("get_weather"), recorder))
                        .tools(Kit.weather())
                        .build(),
                recorder);

        List<Integer> wrong = Flux.range(1, RUNS)
                .flatMap(
                        number -> last(agent, number, streaming)
                                .filter(end -> !Integer.valueOf(CountingModel.billed(number))
                                        .equals(Outputs.tokens(end)))
                                .map(end -> number),
                        RUNS)
                .collectList()
                .block(Kit.PATIENCE);

        assertThat(wrong).isEmpty();
        assertThat(recorder.unattributed()).isZero();
        assertThat(recorder.processSum().total().totalTokens()).isEqualTo(3L * RUNS * (RUNS + 1) / 2);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @DisplayName(
            "of one agent with another as its tool, as many at once as the graph itself survives, stay apart too (T19)")
    void withAgentsAsTools(boolean streaming) throws Exception {
        UsageRecorder recorder = UsageRecorder.withSinks();
        ReactAgent expert = ReactAgent.builder()
                .name("expert")
                .description("Knows the weather.")
                .model(UsageChatModel.of(new CountingModel("get_weather"), recorder))
                .tools(Kit.weather())
                .build();
        ReactAgent chief = FluxtallyAgents.instrument(
                ReactAgent.builder()
                        .name("chief")
                        .model(UsageChatModel.of(new CountingModel("expert"), recorder))
                        .tools(AgentTool.getFunctionToolCallback(expert))
                        .build(),
                recorder);

        List<Integer> totals = Flux.range(1, 64)
                .flatMapSequential(number -> last(chief, number, streaming).map(Outputs::tokens), 4)
                .collectList()
                .block(Kit.PATIENCE);

        assertThat(totals)
                .isEqualTo(IntStream.rangeClosed(1, 64)
                        .mapToObj(number -> 2 * CountingModel.billed(number))
                        .toList());
        assertThat(recorder.unattributed()).isZero();
    }

    private static Mono<NodeOutput> last(ReactAgent agent, int number, boolean streaming) {
        if (!streaming) {
            return Mono.fromCallable(() ->
                            agent.invokeAndGetOutput(String.valueOf(number)).orElseThrow())
                    .subscribeOn(Schedulers.boundedElastic());
        }
        return Mono.defer(() -> {
            try {
                return agent.stream(String.valueOf(number)).last();
            } catch (Exception error) {
                return Mono.error(error);
            }
        });
    }

    @Test
    @DisplayName("inside a scope of the app's each carry their own total, and the scope has them all")
    void inOneScope() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.RUNNING);
        ReactAgent agent = kit.agent(kit.threeRounds("weather"));
        RunScope scope = RunScope.start();

        NodeOutput first = scope.wrap(kit.stream(agent)).blockLast(Kit.PATIENCE);
        NodeOutput second = scope.wrap(kit.stream(agent)).blockLast(Kit.PATIENCE);

        assertThat(Outputs.tokens(first)).isEqualTo(26_500);
        assertThat(Outputs.tokens(second)).isEqualTo(26_500);
        assertThat(scope.usage().total().totalTokens()).isEqualTo(53_000);
    }

    @Test
    @DisplayName("subscribed to twice are two")
    void twice() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.RUNNING);
        Flux<NodeOutput> run = kit.stream(kit.agent(kit.threeRounds("weather")));

        assertThat(Outputs.tokens(run.blockLast(Kit.PATIENCE))).isEqualTo(26_500);
        assertThat(Outputs.tokens(run.blockLast(Kit.PATIENCE))).isEqualTo(26_500);
    }

    @Test
    @DisplayName("are there for their own nodes and tools, and not for what the app does with an output")
    void whereTheyAreSeen() throws Exception {
        Kit kit = Kit.measured(true, UsageAt.LAST_CONTENT);
        List<Long> inNodes = new ArrayList<>();
        List<Object> outside = new ArrayList<>();
        ChatModel model = kit.model("asked", Turn.says(60, 10, "S", "un"));
        AsyncNodeActionWithConfig looks = AsyncNodeActionWithConfig.node_async((state, config) -> {
            inNodes.add(GraphUsage.current().orElseThrow().total().totalTokens());
            return Map.of("messages", model.stream(new Prompt("Weather?")));
        });

        kit.stream(kit.compile(new StateGraph(Kit.keys())
                        .addNode("first", looks)
                        .addNode("second", looks)
                        .addEdge(START, "first")
                        .addEdge("first", "second")
                        .addEdge("second", END)))
                .doOnNext(output -> {
                    outside.add(UsageScope.current());
                    outside.add(RunThread.current());
                })
                .doFinally(end -> outside.add(RunThread.current()))
                .blockLast(Kit.PATIENCE);

        assertThat(inNodes).containsExactly(0L, 70L);
        assertThat(outside).isNotEmpty().containsOnlyNulls();
        assertThat(GraphUsage.current()).isEmpty();
    }

    @Test
    @DisplayName("that went on with the first of their branches are not complete while another is under way (T7)")
    void firstBranch() throws Exception {
        Kit kit = Kit.measured(false, UsageAt.LAST_CONTENT);
        CountDownLatch ended = new CountDownLatch(1);
        CountDownLatch asked = new CountDownLatch(1);
        ChatModel quick = kit.model("quick", Turn.says(60, 10, "Quick."));
        ChatModel slow = UsageChatModel.of(
                new ChatModel() {
                    @Override
                    public ChatResponse call(Prompt prompt) {
                        asked.countDown();
                        try {
                            ended.await(60, TimeUnit.SECONDS);
                        } catch (InterruptedException stopped) {
                            Thread.currentThread().interrupt();
                        }
                        return Turn.says(600, 100, "Slow.").whole("slow", false);
                    }
                },
                kit.recorder());
        CompiledGraph graph = kit.compile(new StateGraph(Kit.keys())
                .addNode("fork", AsyncNodeActionWithConfig.node_async((state, config) -> Map.of()))
                .addNode("quick", AsyncNodeActionWithConfig.node_async((state, config) -> {
                    asked.await(60, TimeUnit.SECONDS);
                    quick.call(new Prompt("?"));
                    return Map.of("won", "quick");
                }))
                .addNode("slow", AsyncNodeActionWithConfig.node_async((state, config) -> {
                    slow.call(new Prompt("?"));
                    return Map.of("won", "slow");
                }))
                .addNode("join", AsyncNodeActionWithConfig.node_async((state, config) -> Map.of()))
                .addEdge(START, "fork")
                .addEdge("fork", "quick")
                .addEdge("fork", "slow")
                .addEdge("quick", "join")
                .addEdge("slow", "join")
                .addEdge("join", END));
        RunScope scope = RunScope.start();

        NodeOutput end = scope.wrap(graph.stream(
                        Kit.question(),
                        kit.config()
                                .defaultParallelAggregationStrategy(NodeAggregationStrategy.ANY_OF)
                                .build()))
                .blockLast(Kit.PATIENCE);
        ended.countDown();
        Flux.interval(Duration.ofMillis(1))
                .takeUntil(tick -> scope.usage().inFlight() == 0)
                .blockLast(Kit.PATIENCE);

        assertThat(end.state().data()).containsEntry("won", "quick");
        assertThat(Outputs.tokens(end)).isEqualTo(70);
        assertThat(GraphUsage.of(end).orElseThrow().isComplete()).isFalse();
        assertThat(scope.usage().total().totalTokens()).isEqualTo(770);
    }

    @Test
    @DisplayName("leave nothing of ours in the app's config")
    void leaveNothing() throws Exception {
        List<Map<String, Object>> left = new ArrayList<>();
        for (Kit kit : List.of(Kit.plain(true, UsageAt.RUNNING), Kit.measured(true, UsageAt.RUNNING))) {
            RunnableConfig config = kit.config().build();
            kit.agent(kit.threeRounds("weather")).getAndCompileGraph().stream(Kit.question(), config)
                    .blockLast(Kit.PATIENCE);
            left.add(config.context());
            assertThat(config.metadata()).contains(Map.of("_stream_", true));
        }

        assertThat(left.get(1)).containsOnlyKeys(left.get(0).keySet());
    }

    @Test
    @DisplayName("that ended are not kept alive, 100,000 of them (no leak)")
    void forgotten() throws Exception {
        Kit kit = Kit.measured(false, UsageAt.LAST_CONTENT);
        UsageRecorder recorder = kit.recorder();
        ChatModel model = UsageChatModel.of(new CountingModel("none"), recorder);
        CompiledGraph graph = kit.compile(
                new StateGraph(Kit.keys())
                        .addNode("asks", AsyncNodeActionWithConfig.node_async((state, config) -> {
                            model.call(new Prompt("7"));
                            return Map.of();
                        }))
                        .addEdge(START, "asks")
                        .addEdge("asks", END),
                CompileConfig.builder().saverConfig(new SaverConfig()).build());
        // One config for all of them, as an app may have it.
        RunnableConfig config = RunnableConfig.builder().build();
        List<WeakReference<RunUsage>> ended = new ArrayList<>();
        for (int i = 0; i < 100_000; i++) {
            NodeOutput end = graph.invokeAndGetOutput(Map.of(), config).orElseThrow();
            if (i % 1_000 == 0) {
                ended.add(new WeakReference<>(GraphUsage.of(end).orElseThrow()));
            }
        }

        long patience = System.nanoTime() + Kit.PATIENCE.toNanos();
        while (ended.stream().anyMatch(run -> run.get() != null) && System.nanoTime() < patience) {
            System.gc();
            Thread.onSpinWait();
        }
        assertThat(ended).allSatisfy(run -> assertThat(run.get()).isNull());
        assertThat(config.context()).isEmpty();
        assertThat(recorder.processSum().requests()).isEqualTo(100_000);
    }
}
