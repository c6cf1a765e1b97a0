package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.GraphRunException;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.NodeResult;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.chat.UsageChatModel;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;
import reactor.test.publisher.PublisherProbe;

@DisplayName("agents together")
@Timeout(60)
class AgentShapesTest {

    private static final TokenUsage PLANNER = TokenUsage.of(19000, 7500);
    private static final TokenUsage WEATHER = TokenUsage.of(1200, 100);

    private static ReactAgent agent(String name, ScriptedModel model, ToolCallback... tools) {
        return ReactAgent.builder(name).model(model).tools(tools).build();
    }

    /** An agent of two rounds that answers "Rain.". */
    private static ReactAgent weather() {
        return agent(
                "weather",
                ScriptedModel.of(Turn.asks(500, 40, "station"), Turn.says(700, 60, "Rain.")),
                Tool.of("station", input -> "wet"));
    }

    /** An agent of one round. */
    private static ReactAgent says(String name, int input, String text) {
        return agent(name, ScriptedModel.of(Turn.says(input, 1, text)));
    }

    /** A turn that asks a sub-agent as often as there are arguments. */
    private static Turn asksAgent(int input, int output, String tool, String... arguments) {
        List<ToolCall> calls = Stream.of(arguments)
                .map(argument -> new ToolCall("id-" + argument.hashCode(), "function", tool, argument))
                .toList();
        return new Turn(List.of("Let me see."), calls, input, output);
    }

    private static NodeOutput end(CompiledGraph graph, Map<String, ?> input, boolean streaming) {
        return streaming ? graph.stream(input).blockLast() : graph.invoke(input).block();
    }

    private static void assertAddsUp(RunUsage usage) {
        for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
            assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(usage.total());
        }
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("T9: as nodes go on with one conversation, each counted once under its own name, by round")
    void nodes(boolean streaming) {
        CompiledGraph graph = new StateGraph("trip")
                .keyStrategy(ReactAgent.MESSAGES, KeyStrategy.APPEND)
                .addNode("ask", weather().asNode())
                .addNode("say", (state, run) -> NodeResult.update(ReactAgent.MESSAGES, new UserMessage("And now?")))
                .addNode("plan", says("planner", 10, "Stay.").asNode())
                .addEdge(StateGraph.START, "ask")
                .addEdge("ask", "say")
                .addEdge("say", "plan")
                .addEdge("plan", StateGraph.END)
                .compile();

        NodeOutput end = end(graph, Map.of(ReactAgent.MESSAGES, new UserMessage("Rain?")), streaming);

        assertThat(end.state().<Message>list(ReactAgent.MESSAGES)).hasSize(6);
        assertThat(ReactAgent.answer(end)).isEqualTo("Stay.");
        assertThat(end.runUsage().byAgent()).containsOnlyKeys("weather", "planner");
        assertThat(end.runUsage().byAgent().get("weather").total()).isEqualTo(WEATHER);
        assertThat(end.runUsage().byRound().get(2).total()).isEqualTo(TokenUsage.of(700, 60));
        assertThat(end.runUsage().total()).isEqualTo(WEATHER.plus(TokenUsage.of(10, 1)));
        assertAddsUp(end.runUsage());
    }

    @Test
    @DisplayName("as nodes stream their chunks through, with the node in their path")
    void streams() {
        CompiledGraph graph = AgentGraphs.sequential("trip", weather()).compile();

        List<NodeOutput> outputs = graph.stream(Map.of(AgentGraphs.QUESTION, "Rain?"))
                .collectList()
                .block();

        assertThat(outputs)
                .filteredOn(StreamingOutput.class::isInstance)
                .isNotEmpty()
                .allSatisfy(output -> {
                    assertThat(output.path()).containsExactly("weather");
                    assertThat(output.agent()).isEqualTo("weather");
                });
        assertThat(outputs)
                .filteredOn(output -> output.path().isEmpty() && !output.isEnd())
                .singleElement()
                .satisfies(output -> assertThat(output.tokenUsage()).isEqualTo(WEATHER));
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("T19: as tools are counted in the run once, under their own names, by round")
    void tools(boolean streaming) {
        String question = "{\"question\":\"Will it rain?\"}";
        ReactAgent planner = agent(
                "planner",
                ScriptedModel.of(
                        asksAgent(5000, 2000, "ask_weather", question),
                        asksAgent(8000, 3000, "ask_weather", question),
                        Turn.says(6000, 2500, "Stay.")),
                weather().asTool("ask_weather", "Knows the weather."));

        NodeOutput end = streaming
                ? planner.stream("Plan").blockLast()
                : planner.invoke("Plan").block();

        RunUsage usage = end.runUsage();
        assertThat(usage.byAgent()).containsOnlyKeys("planner", "weather");
        assertThat(usage.byAgent().get("planner").total()).isEqualTo(PLANNER);
        assertThat(usage.byAgent().get("weather").total()).isEqualTo(WEATHER.plus(WEATHER));
        assertThat(usage.requests()).hasSize(7);
        assertThat(usage.isComplete()).isTrue();
        assertAddsUp(usage);
        assertThat(end.state().<Message>list(ReactAgent.MESSAGES).stream()
                        .filter(ToolResponseMessage.class::isInstance)
                        .flatMap(message -> ((ToolResponseMessage) message).getResponses().stream())
                        .map(response -> response.responseData()))
                .containsExactly("Rain.", "Rain.");
    }

    @Test
    @DisplayName("T11: as tools are in the usage of the node that runs the tools")
    void toolNodeUsage() {
        ReactAgent planner = agent(
                "planner",
                ScriptedModel.of(asksAgent(50, 2, "weather", "{\"question\":\"Rain?\"}"), Turn.says(60, 3, "Stay.")),
                weather().asTool("Knows the weather."));

        List<NodeOutput> completed = planner.stream("Plan")
                .filter(output -> output.node().equals(ReactAgent.TOOL_NODE))
                .collectList()
                .block();

        assertThat(completed)
                .singleElement()
                .satisfies(output -> assertThat(output.tokenUsage()).isEqualTo(WEATHER));
    }

    @Test
    @DisplayName("as tools refuse to be called by anything that would block")
    void blockingTool() {
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> weather().asTool("Knows the weather.").call("{\"question\":\"Rain?\"}"))
                .withMessage("the tool \"weather\" is an agent, which only a ToolNode runs: a call would block");
    }

    @Test
    @DisplayName("T18: have what a tool asks a model counted in the run, where tools run at once")
    void modelInToolsAtOnce() {
        ChatModel asked = UsageChatModel.of(ScriptedModel.of(Turn.says(7, 1, "Yes.")));
        ReactAgent planner = ReactAgent.builder("planner")
                .model(ScriptedModel.of(Turn.asks(50, 2, "relay", "relay"), Turn.says(60, 3, "Stay.")))
                .tools(Tool.of(
                        "relay",
                        input -> asked.call(new Prompt("Well?"))
                                .getResult()
                                .getOutput()
                                .getText()))
                .parallelTools(2)
                .build();

        RunUsage usage = planner.stream("Plan").blockLast().runUsage();

        assertThat(usage.byNode().get(ReactAgent.TOOL_NODE).total()).isEqualTo(TokenUsage.of(14, 2));
        assertThat(usage.total()).isEqualTo(TokenUsage.of(124, 7));
    }

    @Test
    @DisplayName("as tools that get no question say so to the model, and ask none")
    void noQuestion() {
        for (String arguments : List.of("{}", "{\"question\":\" \"}", "not json", "{\"question\":null}")) {
            ReactAgent planner = agent(
                    "planner",
                    ScriptedModel.of(asksAgent(50, 2, "weather", arguments), Turn.says(60, 3, "Stay.")),
                    weather().asTool("Knows the weather."));

            NodeOutput end = planner.invoke("Plan").block();

            assertThat(((ToolResponseMessage) end.state()
                                    .<Message>list(ReactAgent.MESSAGES)
                                    .get(2))
                            .getResponses())
                    .extracting(ToolResponseMessage.ToolResponse::responseData)
                    .containsExactly("The argument \"question\" is missing.");
            assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(110, 5));
        }
    }

    @Test
    @DisplayName("as tools are cancelled with the run, at once")
    void cancelledTool() {
        PublisherProbe<ChatResponse> never = PublisherProbe.of(Flux.never());
        ReactAgent silent = agent("weather", ScriptedModel.of(Turn.says(1, 1)).over(chunks -> never.flux()));
        ReactAgent planner = agent(
                "planner",
                ScriptedModel.of(asksAgent(50, 2, "weather", "{\"question\":\"Rain?\"}")),
                silent.asTool("Knows the weather."));

        StepVerifier.create(planner.stream("Plan"))
                .expectNextCount(2)
                .then(never::assertWasSubscribed)
                .thenCancel()
                .verify();

        never.assertWasCancelled();
    }

    @Test
    @DisplayName("as tools that fail end the run with what all had used")
    void failingTool() {
        ReactAgent failing =
                agent("weather", ScriptedModel.of(Turn.asks(500, 40, "horoscope")), Tool.of("station", input -> "wet"));
        ReactAgent planner = agent(
                "planner",
                ScriptedModel.of(asksAgent(50, 2, "weather", "{\"question\":\"Rain?\"}")),
                failing.asTool("Knows the weather."));

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> planner.invoke("Plan").block())
                .satisfies(error -> assertThat(error.usage().total()).isEqualTo(TokenUsage.of(550, 42)));
    }

    @Test
    @DisplayName("run many at once, each a tool of another, with no thread waiting for another")
    void manyTools() {
        String question = "{\"question\":\"Rain?\"}";
        ReactAgent planner = agent(
                "planner",
                ScriptedModel.of(asksAgent(50, 2, "weather", question), Turn.says(60, 3, "Stay.")),
                weather().asTool("Knows the weather."));

        List<RunUsage> usages = Flux.range(0, 300)
                .flatMap(i -> planner.stream("Plan").last(), 300)
                .map(NodeOutput::runUsage)
                .collectList()
                .block();

        assertThat(usages).hasSize(300).allSatisfy(usage -> {
            assertThat(usage.total()).isEqualTo(WEATHER.plus(TokenUsage.of(110, 5)));
            assertThat(usage.requests())
                    .extracting(RequestUsage::runId)
                    .containsOnly(usage.requests().get(0).runId());
        });
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("run their tools one after the other unless told, and then at once, with answers in the order asked")
    void parallelTools(boolean streaming) {
        CountDownLatch both = new CountDownLatch(2);
        List<String> order = new CopyOnWriteArrayList<>();
        Tool slow = Tool.of("slow", input -> {
            both.countDown();
            boolean met = awaits(both);
            while (!order.contains("fast")) {
                Thread.onSpinWait();
            }
            return "slow, met: " + met;
        });
        Tool fast = Tool.of("fast", input -> {
            both.countDown();
            boolean met = awaits(both);
            order.add("fast");
            return "fast, met: " + met;
        });
        ScriptedModel model = ScriptedModel.of(Turn.asks(10, 1, "slow", "fast"), Turn.says(20, 2, "Done."));
        ReactAgent agent = ReactAgent.builder("parallel")
                .model(model)
                .tools(slow, fast)
                .parallelTools(2)
                .build();

        NodeOutput end =
                streaming ? agent.stream("Go").blockLast() : agent.invoke("Go").block();

        List<Message> messages = end.state().list(ReactAgent.MESSAGES);
        assertThat(messages).hasSize(4);
        assertThat(((ToolResponseMessage) messages.get(2)).getResponses())
                .extracting(ToolResponseMessage.ToolResponse::id, ToolResponseMessage.ToolResponse::responseData)
                .containsExactly(tuple("call-0-slow", "slow, met: true"), tuple("call-1-fast", "fast, met: true"));
    }

    private static boolean awaits(CountDownLatch latch) {
        try {
            return latch.await(30, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            return false;
        }
    }

    @Test
    @DisplayName("never run two tools of a round at once unless told")
    void toolsInLine() {
        AtomicBoolean running = new AtomicBoolean();
        Tool alone = Tool.of("alone", input -> {
            boolean first = running.compareAndSet(false, true);
            Thread.yield();
            running.set(false);
            return "alone: " + first;
        });
        ReactAgent agent = agent(
                "line",
                ScriptedModel.of(Turn.asks(10, 1, "alone", "alone", "alone", "alone"), Turn.says(20, 2, "Done.")),
                alone);

        NodeOutput end = agent.invoke("Go").block();

        assertThat(((ToolResponseMessage)
                                end.state().<Message>list(ReactAgent.MESSAGES).get(2))
                        .getResponses())
                .extracting(ToolResponseMessage.ToolResponse::responseData)
                .containsOnly("alone: true");
    }

    @Test
    @DisplayName("with tools at once answer the user directly if all of these do, and tell the model otherwise")
    void directParallel() {
        ScriptedModel model = ScriptedModel.of(Turn.asks(10, 1, "a", "b"), Turn.says(20, 2, "Done."));
        Tool a = Tool.direct("a", input -> "from a");

        for (boolean bothDirect : new boolean[] {true, false}) {
            Tool b = bothDirect ? Tool.direct("b", input -> "from b") : Tool.of("b", input -> "from b");
            NodeOutput end = ReactAgent.builder("direct")
                    .model(model)
                    .tools(a, b)
                    .parallelTools(4)
                    .build()
                    .invoke("Go")
                    .block();

            assertThat(end.state().<Message>list(ReactAgent.MESSAGES))
                    .filteredOn(AssistantMessage.class::isInstance)
                    .extracting(Message::getText)
                    .containsExactlyElementsOf(
                            bothDirect ? List.of("Let me see.", "from a", "from b") : List.of("Let me see.", "Done."));
        }
    }

    @Test
    @DisplayName("refuse to run less than one tool at once")
    void noTools() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ReactAgent.builder("x").parallelTools(0))
                .withMessage("parallelTools must be 1 or more, but is 0");
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("in line ask each what the last answered")
    void sequential(boolean streaming) {
        ScriptedModel second = ScriptedModel.of(Turn.says(20, 1, "Two"));
        CompiledGraph graph = AgentGraphs.sequential("line", says("one", 10, "One"), agent("two", second))
                .compile();

        NodeOutput end = end(graph, Map.of(AgentGraphs.QUESTION, "Start"), streaming);

        assertThat(end.state().values()).containsEntry("one", "One").containsEntry("two", "Two");
        assertThat(second.prompts().get(0).getInstructions())
                .extracting(Message::getText)
                .containsExactly("One");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(30, 2));
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("T9: side by side are each asked the question, and counted once")
    void parallel(boolean streaming) {
        CompiledGraph graph = AgentGraphs.parallel("crowd", weather(), says("news", 10, "None."))
                .compile();

        NodeOutput end = end(graph, Map.of(AgentGraphs.QUESTION, "Start"), streaming);

        assertThat(end.state().values()).containsEntry("weather", "Rain.").containsEntry("news", "None.");
        assertThat(end.runUsage().byAgent().get("weather").total()).isEqualTo(WEATHER);
        assertThat(end.runUsage().total()).isEqualTo(WEATHER.plus(TokenUsage.of(10, 1)));
        assertAddsUp(end.runUsage());
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("in a loop are asked what they answered until it is good enough")
    void loop(boolean streaming) {
        ScriptedModel model = ScriptedModel.of(Turn.says(10, 1, "Better"));
        CompiledGraph graph = AgentGraphs.loop(
                        "polish",
                        agent("writer", model),
                        state -> model.prompts().size() == 3)
                .compile();

        NodeOutput end = end(graph, Map.of(AgentGraphs.QUESTION, "Draft"), streaming);

        assertThat(model.prompts())
                .extracting(prompt -> prompt.getInstructions().get(0).getText())
                .containsExactly("Draft", "Better", "Better");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(30, 3));
    }

    @ParameterizedTest(name = "streamed: {0}")
    @ValueSource(booleans = {true, false})
    @DisplayName("T19: behind a router are asked if it names them, and its request is counted too")
    void routing(boolean streaming) {
        CompiledGraph graph = AgentGraphs.routing(
                        "desk", says("router", 5, " weather\n"), weather(), says("news", 10, "None."))
                .compile();

        NodeOutput end = end(graph, Map.of(AgentGraphs.QUESTION, "Rain?"), streaming);

        assertThat(end.state().value("weather")).contains("Rain.");
        assertThat(end.state().value("news")).isEmpty();
        assertThat(end.runUsage().byAgent().get("router").total()).isEqualTo(TokenUsage.of(5, 1));
        assertThat(end.runUsage().total()).isEqualTo(WEATHER.plus(TokenUsage.of(5, 1)));
    }

    @Test
    @DisplayName("behind a router that names none end the run with an error that does not quote it")
    void wrongRoute() {
        CompiledGraph graph = AgentGraphs.routing("desk", says("router", 5, "A secret."), says("news", 10, "None."))
                .compile();

        assertThatExceptionOfType(GraphRunException.class)
                .isThrownBy(() ->
                        graph.invoke(Map.of(AgentGraphs.QUESTION, "Rain?")).block())
                .withMessage("graph \"desk\": the condition of node \"router\" names one of [news], but named \"\"");
    }
}
