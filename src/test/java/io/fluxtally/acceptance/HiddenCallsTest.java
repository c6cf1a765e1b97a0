package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatOptions;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.graph.CompileConfig;
import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.NodeResult;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;
import reactor.core.publisher.Flux;

@DisplayName("A call that the app does not see")
class HiddenCallsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** What the router's call is billed. */
    private static final long ROUTED = 649L;

    /** A model of a tool's own: a scripted one, since what counts here is who asks it. */
    private static final ChatModel SCRIPTED = new ChatModel() {
        @Override
        public ChatResponse call(Prompt prompt) {
            return new ChatResponse(
                    List.of(new Generation(new AssistantMessage("sunny"))),
                    ChatResponseMetadata.builder()
                            .id("of-the-tool")
                            .usage(new DefaultUsage(70, 30))
                            .build());
        }

        @Override
        public Flux<ChatResponse> stream(Prompt prompt) {
            return Flux.defer(() -> Flux.just(call(prompt)));
        }
    };

    @Test
    @DisplayName("of a tool that the model itself runs in a stream, on another thread, is booked to the run (T18, T19)")
    void toolOfAStreamedModel() {
        Scenario scenario = Scenarios.load("dashscope-tool-loop-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            UsageRecorder recorder = UsageRecorder.withSinks();
            WireTap tap = WireTap.builder().recorder(recorder).build();
            ChatModel model = UsageChatModel.of(DashScopeClient.tapped(provider.baseUrl(), tap), recorder);
            ChatModel ofTool = UsageChatModel.of(SCRIPTED, recorder);
            DashScopeChatOptions options =
                    DashScopeChatOptions.builder().model("qwen-plus").build();
            options.setToolCallbacks(List.of(tool(scenario, () -> ofTool.call(new Prompt("weather?")))));
            RunScope run = RunScope.start();

            run.wrap(model.stream(new Prompt(new UserMessage("上海天气怎么样？"), options)))
                    .blockLast(PATIENCE);

            assertThat(run.usage().requests())
                    .extracting(RequestUsage::responseId)
                    .contains("of-the-tool");
            assertThat(run.usage().total().totalTokens()).isEqualTo(486 + 100);
            assertThat(run.usage().isComplete()).isTrue();
            assertThat(recorder.unattributed()).isZero();
        }
    }

    @Test
    @DisplayName("of an agent that serves as a model is booked once (T9)")
    void agentAsModel() {
        UsageRecorder recorder = UsageRecorder.withSinks();
        ReactAgent agent =
                ReactAgent.builder("inner").model(SCRIPTED).recorder(recorder).build();
        ChatModel agentAsModel = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                throw new UnsupportedOperationException();
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return agent.stream(prompt.getInstructions())
                        .filter(output -> output instanceof StreamingOutput)
                        .map(StreamingOutput.class::cast)
                        .filter(output -> !output.isComplete())
                        .map(output -> (ChatResponse) output.chunk());
            }
        };
        RunScope run = RunScope.start();

        run.wrap(UsageChatModel.of(agentAsModel, recorder).stream(new Prompt("weather?")))
                .blockLast(PATIENCE);

        assertThat(run.usage().total().totalTokens()).isEqualTo(100);
        assertThat(run.usage().requests())
                .singleElement()
                .satisfies(request -> assertThat(request.source()).isEqualTo(UsageSource.REPORTED));
    }

    @Test
    @DisplayName("that is still under way when the app has given up leaves the run incomplete")
    void stillUnderWay() {
        RunScope run = RunScope.start();
        Flux<ChatResponse> hanging = run.wrap(UsageChatModel.of(new ChatModel() {
                    @Override
                    public ChatResponse call(Prompt prompt) {
                        throw new UnsupportedOperationException();
                    }

                    @Override
                    public Flux<ChatResponse> stream(Prompt prompt) {
                        return Flux.never();
                    }
                })
                .stream(new Prompt("weather?")));

        var subscription = hanging.subscribe();

        assertThat(run.usage().isComplete()).isFalse();
        assertThat(run.usage().inFlight()).isPositive();
        subscription.dispose();
        assertThat(run.usage().inFlight()).isZero();
        assertThat(run.usage().unreported()).isEqualTo(1);
    }

    @Test
    @DisplayName(
            "of a summary, a router and a fallback is in the total of the run, each once, with the calls that it sees (T19)")
    void hiddenInAGraph() {
        UsageRecorder recorder = UsageRecorder.withSinks();
        WireTap tap = WireTap.builder().recorder(recorder).build();
        for (boolean tapped : List.of(true, false)) {
            try (LoopbackProvider summariser = LoopbackProvider.start(Scenarios.load("dashscope-call"));
                    LoopbackProvider router =
                            LoopbackProvider.start(Scenarios.load("dashscope-older-cached-tokens-call"));
                    LoopbackProvider broken = LoopbackProvider.start(Scenarios.load("dashscope-reset-stream"));
                    LoopbackProvider fallback = LoopbackProvider.start(Scenarios.load("dashscope-plain-stream"))) {
                ChatModel summarises = client(summariser, tapped ? tap : null);
                ChatModel routes = UsageChatModel.of(client(router, tapped ? tap : null), recorder);
                ReactAgent agent = ReactAgent.builder("weather")
                        .model(client(broken, tapped ? tap : null))
                        .fallbackModels(client(fallback, tapped ? tap : null))
                        .recorder(recorder)
                        .build();
                AtomicReference<TokenUsage> seenInside = new AtomicReference<>();
                CompiledGraph graph = new StateGraph("trip")
                        .addNode(
                                "summary",
                                (state, run) -> NodeResult.blocking(() -> {
                                    run.capture(summarises).call(new Prompt("Shorten."));
                                    return Map.of("question", "Rain?");
                                }))
                        .addNode("ask", agent.asNode(state -> "Rain?", "answer"))
                        .addNode("last", (state, run) -> {
                            seenInside.set(run.getTokenUsage());
                            return NodeResult.none();
                        })
                        .addEdge(StateGraph.START, "summary")
                        .addConditionalEdges(
                                "summary",
                                state -> routes.call(new Prompt("Whom?")) == null ? "none" : "weather",
                                Map.of("weather", "ask", "none", StateGraph.END))
                        .addEdge("ask", "last")
                        .addEdge("last", StateGraph.END)
                        .compile(CompileConfig.DEFAULT.withRecorder(recorder));

                NodeOutput end = graph.stream(Map.of()).blockLast(PATIENCE);

                assertThat(end.state().value("answer", String.class))
                        .hasValueSatisfying(text -> assertThat(text).isEqualTo("上海今天多云，最高二十六度。"));
                assertThat(end.runUsage().requests())
                        .extracting(
                                RequestUsage::agent, RequestUsage::node, RequestUsage::attempt, HiddenCallsTest::total)
                        .containsExactly(
                                tuple(null, "summary", 1, 108L),
                                tuple(null, null, 1, ROUTED),
                                tuple("weather", ReactAgent.LLM_NODE, 1, 35L),
                                tuple("weather", ReactAgent.LLM_NODE, 2, 34L));
                assertThat(end.runUsage().total().totalTokens()).isEqualTo(108 + ROUTED + 35 + 34);
                assertThat(seenInside.get()).isEqualTo(end.runUsage().total());
                assertThat(end.runUsage().unreported()).isEqualTo(1);
                assertThat(recorder.unattributed()).isZero();
            }
        }
    }

    private static ChatModel client(LoopbackProvider provider, @Nullable WireTap tap) {
        return tap == null
                ? DashScopeClient.stock(provider.baseUrl())
                : DashScopeClient.tapped(provider.baseUrl(), tap);
    }

    private static long total(RequestUsage request) {
        return request.usage() == null ? 0 : request.usage().totalTokens();
    }

    private static ToolCallback tool(Scenario scenario, Runnable work) {
        return FunctionToolCallback.builder(scenario.tools().get(0), (Map<String, Object> input) -> {
                    work.run();
                    return Map.of("ok", true);
                })
                .description("Asks a model of its own.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
    }
}
