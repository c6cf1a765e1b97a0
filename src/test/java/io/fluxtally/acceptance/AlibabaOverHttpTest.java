package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import com.alibaba.cloud.ai.graph.CompileConfig;
import com.alibaba.cloud.ai.graph.NodeOutput;
import com.alibaba.cloud.ai.graph.RunnableConfig;
import com.alibaba.cloud.ai.graph.action.InterruptionMetadata;
import com.alibaba.cloud.ai.graph.agent.Agent;
import com.alibaba.cloud.ai.graph.agent.AgentTool;
import com.alibaba.cloud.ai.graph.agent.Builder;
import com.alibaba.cloud.ai.graph.agent.ReactAgent;
import com.alibaba.cloud.ai.graph.agent.flow.agent.ParallelAgent;
import com.alibaba.cloud.ai.graph.checkpoint.config.SaverConfig;
import com.alibaba.cloud.ai.graph.checkpoint.savers.MemorySaver;
import com.alibaba.cloud.ai.graph.streaming.OutputType;
import com.alibaba.cloud.ai.graph.streaming.StreamingOutput;
import io.fluxtally.alibaba.FluxtallyAgents;
import io.fluxtally.alibaba.GraphUsage;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import reactor.core.publisher.Flux;

/** Spring AI Alibaba's agents over the real clients and real HTTP, with the wire tap and no decorated model. */
@DisplayName("An agent of Spring AI Alibaba")
class AlibabaOverHttpTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String QUESTION = "上海天气怎么样？";
    private static final String TOOL = "get_weather";

    /** A real client, and its tool loop of two rounds: 220 + 266 tokens. */
    enum Client {
        DASHSCOPE("dashscope-tool-loop-stream", 3, "多云") {
            @Override
            ChatModel model(String baseUrl, WireTap tap) {
                return DashScopeClient.tapped(baseUrl, tap);
            }
        },
        OPENAI("openai-tool-loop-stream", 4, "今天") {
            @Override
            ChatModel model(String baseUrl, WireTap tap) {
                return OpenAiClient.tapped(baseUrl, tap);
            }
        };

        private final String toolLoop;
        private final int events;
        private final String lastText;

        /**
         * @param events after how many events of its second answer a cut one stops
         * @param lastText the last text that an app sees of that; OpenAI's client looks one event ahead
         */
        Client(String toolLoop, int events, String lastText) {
            this.toolLoop = toolLoop;
            this.events = events;
            this.lastText = lastText;
        }

        abstract ChatModel model(String baseUrl, WireTap tap);

        List<Response> toolLoop() {
            return Scenarios.load(toolLoop).responses();
        }

        /** The tool loop whose second answer stops after a few events. */
        List<Response> cutToolLoop(End end) {
            List<Response> whole = toolLoop();
            Response second = whole.get(1);
            List<String> all = List.of(second.body().split("\n\n"));
            String cut = String.join("\n\n", all.subList(0, events)) + "\n\n";
            return List.of(whole.get(0), new Response(second.status(), second.headers(), cut, end));
        }
    }

    /** The providers and what they are asked by: a recorder that would know of a request that found no run. */
    private static final class Bench implements AutoCloseable {

        private final Client client;
        private final LoopbackProvider provider;
        private final UsageRecorder recorder = UsageRecorder.withSinks();
        private final WireTap tap = WireTap.builder().recorder(recorder).build();

        Bench(Client client, Mode mode, List<Response> responses) {
            this.client = client;
            this.provider = LoopbackProvider.start(mode, responses);
        }

        Builder agent(String name, ToolCallback... tools) {
            return ReactAgent.builder()
                    .name(name)
                    .description("Knows the weather.")
                    .model(client.model(provider.baseUrl(name), tap))
                    .tools(tools);
        }

        <A extends Agent> A instrument(A agent) {
            return FluxtallyAgents.instrument(agent, recorder);
        }

        @Override
        public void close() {
            provider.close();
            assertThat(recorder.unattributed()).isZero();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "DASHSCOPE, dashscope-three-rounds-usage-only-stream, 26500, 3",
        "DASHSCOPE, dashscope-three-rounds-last-content-stream, 26500, 3",
        "DASHSCOPE, dashscope-three-rounds-running-stream, 26500, 3",
        "DASHSCOPE, dashscope-three-rounds-call, 26500, 3",
        "OPENAI, openai-three-loops-stream, 1496, 4",
        "OPENAI, openai-three-loops-call, 1496, 4"
    })
    @DisplayName("reads what its rounds are billed (T1, T3, T4, T20)")
    void rounds(Client client, String name, int billed, int rounds) throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (Bench bench = new Bench(client, scenario.mode(), scenario.responses())) {
            ReactAgent agent =
                    bench.instrument(bench.agent("weather", tools(scenario)).build());

            NodeOutput end = scenario.mode() == Mode.STREAM
                    ? agent.stream(QUESTION).blockLast(PATIENCE)
                    : agent.invokeAndGetOutput(QUESTION).orElseThrow();

            assertThat(end.isEND()).isTrue();
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(billed);
            assertThat(end.tokenUsage().getNativeUsage())
                    .isInstanceOf(
                            client == Client.DASHSCOPE ? DashScopeApiSpec.TokenUsage.class : OpenAiApi.Usage.class);
            if (scenario.mode() == Mode.STREAM) {
                assertThat(cachedTokens(end.tokenUsage())).isEqualTo(client == Client.DASHSCOPE ? 9_984 : 768);
            }
            RunUsage usage = GraphUsage.of(end).orElseThrow();
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.byRound()).hasSize(rounds);
            assertThat(usage.byAgent()).containsOnlyKeys("weather");
            // DashScope's answers do not name their model.
            assertThat(usage.byModel()).containsOnlyKeys(client == Client.DASHSCOPE ? RunUsage.NONE : "qwen-plus");
        }
    }

    @ParameterizedTest
    @CsvSource({"DASHSCOPE, dashscope-three-rounds-call, 26500", "OPENAI, openai-three-loops-call, 1496"})
    @DisplayName("that answers with a message has its usage beside it")
    void call(Client client, String name, int billed) throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (Bench bench = new Bench(client, scenario.mode(), scenario.responses())) {
            ReactAgent agent =
                    bench.instrument(bench.agent("weather", tools(scenario)).build());

            var answer = GraphUsage.measure(() -> agent.call(QUESTION));

            assertThat(answer.result().getText()).isNotEmpty();
            assertThat(answer.usage().total().totalTokens()).isEqualTo(billed);
            assertThat(answer.usage().isComplete()).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("and another beside it are booked to one run, each under its name (T9, T18)")
    void parallel(Client client) throws Exception {
        try (Bench bench = new Bench(client, Mode.STREAM, client.toolLoop())) {
            ParallelAgent both = bench.instrument(ParallelAgent.builder()
                    .name("both")
                    .subAgents(List.of(
                            bench.agent("left", tool()).outputKey("left_answer").build(),
                            bench.agent("right", tool())
                                    .outputKey("right_answer")
                                    .build()))
                    .build());

            NodeOutput end = both.stream(QUESTION).blockLast(PATIENCE);

            RunUsage usage = GraphUsage.of(end).orElseThrow();
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(2 * 486);
            assertThat(usage.isComplete()).isTrue();
            assertThat(usage.byAgent()).containsOnlyKeys("left", "right");
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("as the tool of another is booked to the other's run (T19)")
    void asTool(Client client) throws Exception {
        List<Response> asksAnAgent = client.toolLoop().stream()
                .map(response -> new Response(
                        response.status(),
                        response.headers(),
                        // What an agent as tool takes.
                        response.body().replace("\\\"city\\\"", "\\\"input\\\""),
                        response.end()))
                .toList();
        try (Bench bench = new Bench(client, Mode.STREAM, asksAnAgent)) {
            ReactAgent expert = bench.agent(TOOL, tool()).build();
            ReactAgent chief = bench.instrument(bench.agent("chief", AgentTool.getFunctionToolCallback(expert))
                    .build());
            NodeOutput end = chief.stream(QUESTION).blockLast(PATIENCE);

            RunUsage usage = GraphUsage.of(end).orElseThrow();
            assertThat(usage.byAgent()).containsOnlyKeys("chief", TOOL);
            assertThat(usage.byAgent().get("chief").total().totalTokens()).isEqualTo(486);
            assertThat(usage.byAgent().get(TOOL).total().totalTokens()).isEqualTo(486);
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(2 * 486);
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("left in its second round keeps what was reported, graded (T7)")
    void cancelled(Client client) throws Exception {
        try (Bench bench = new Bench(client, Mode.STREAM, client.cutToolLoop(End.HANG))) {
            ReactAgent agent = bench.instrument(bench.agent("weather", tool()).build());
            RunScope run = RunScope.start();

            run.wrap(agent.stream(QUESTION))
                    .takeUntil(output -> isText(output, client.lastText))
                    .blockLast(PATIENCE);

            RunUsage usage = settled(run);
            assertSecondRound(client, usage, RequestOutcome.CANCELLED);
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("whose connection breaks in its second round keeps what was reported, graded (T7)")
    void reset(Client client) throws Exception {
        try (Bench bench = new Bench(client, Mode.STREAM, client.cutToolLoop(End.RESET))) {
            ReactAgent agent = bench.instrument(bench.agent("weather", tool()).build());
            RunScope run = RunScope.start();

            assertThatThrownBy(() -> run.wrap(agent.stream(QUESTION)).blockLast(PATIENCE))
                    .isInstanceOf(Exception.class);

            assertSecondRound(client, settled(run), RequestOutcome.FAILED);
        }
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("that was interrupted before its tool and resumed reads what both parts are billed (T10)")
    void resumed(Client client) throws Exception {
        try (Bench bench = new Bench(client, Mode.STREAM, client.toolLoop())) {
            ReactAgent agent = bench.instrument(bench.agent("weather", tool())
                    .compileConfig(CompileConfig.builder()
                            .saverConfig(SaverConfig.builder()
                                    .register(new MemorySaver())
                                    .build())
                            .interruptBefore(RunnableConfig.AGENT_TOOL_NAME)
                            .build())
                    .build());
            RunnableConfig config = RunnableConfig.builder().threadId("thread").build();

            NodeOutput interruption = agent.stream(QUESTION, config).blockLast(PATIENCE);
            NodeOutput end = agent.stream(
                            Map.of(), RunnableConfig.builder(config).resume().build())
                    .blockLast(PATIENCE);

            assertThat(interruption).isInstanceOf(InterruptionMetadata.class);
            assertThat(interruption.tokenUsage().getTotalTokens()).isEqualTo(220);
            assertThat(end.isEND()).isTrue();
            assertThat(end.tokenUsage().getTotalTokens()).isEqualTo(486);
            assertThat(GraphUsage.of(end).orElseThrow().byRound()).containsOnlyKeys(1, 2);
            assertThat(GraphUsage.ofThread(agent.getAndCompileGraph(), config)
                            .total()
                            .totalTokens())
                    .isEqualTo(486);
        }
    }

    /** As an app reads them that knows its client. */
    private static int cachedTokens(Usage usage) {
        return usage instanceof DashScopeAiUsage dashScope
                ? ((DashScopeApiSpec.TokenUsage) dashScope.getNativeUsage())
                        .promptTokenDetailed()
                        .cachedTokens()
                : ((OpenAiApi.Usage) usage.getNativeUsage())
                        .promptTokensDetails()
                        .cachedTokens();
    }

    private static void assertSecondRound(Client client, RunUsage usage, RequestOutcome outcome) {
        assertThat(usage.requests()).hasSize(2);
        assertThat(usage.isComplete()).isFalse();
        RequestUsage first = usage.requests().get(0);
        RequestUsage second = usage.requests().get(1);
        assertThat(first.source()).isEqualTo(UsageSource.REPORTED);
        assertThat(first.usage().totalTokens()).isEqualTo(220);
        assertThat(second.outcome()).isEqualTo(outcome);
        assertThat(second.round()).isEqualTo(2);
        // DashScope reports on every event, OpenAI at the end alone.
        assertThat(second.source()).isEqualTo(client == Client.DASHSCOPE ? UsageSource.PARTIAL : UsageSource.MISSING);
        assertThat(usage.total().totalTokens()).isEqualTo(client == Client.DASHSCOPE ? 220 + 263 : 220);
    }

    private static boolean isText(NodeOutput output, String text) {
        return output instanceof StreamingOutput<?> streaming
                && streaming.getOutputType() == OutputType.AGENT_MODEL_STREAMING
                && streaming.message() != null
                && text.equals(streaming.message().getText());
    }

    /** The graph cancels once it has handed on the last element, which may be after the app has gone on. */
    private static RunUsage settled(RunScope run) {
        return Flux.interval(Duration.ZERO, Duration.ofMillis(1))
                .map(tick -> run.usage())
                .filter(usage -> usage.inFlight() == 0)
                .blockFirst(PATIENCE);
    }

    private static ToolCallback[] tools(Scenario scenario) {
        return scenario.tools().stream().map(AlibabaOverHttpTest::tool).toArray(ToolCallback[]::new);
    }

    private static ToolCallback tool() {
        return tool(TOOL);
    }

    private static ToolCallback tool(String name) {
        return FunctionToolCallback.builder(name, (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }
}
