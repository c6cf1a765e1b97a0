package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.graph.scripted.UsageAt;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.UsageSum;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

@DisplayName("the usage of a ReAct agent")
@Timeout(120)
class ReactAgentUsageTest {

    private static final TokenUsage BILLED = TokenUsage.of(19000, 7500);

    private final UsageRecorder recorder = UsageRecorder.withSinks();

    private ReactAgent agent(ChatModel model, Tool... tools) {
        return ReactAgent.builder("weather")
                .model(model)
                .tools(tools)
                .recorder(recorder)
                .build();
    }

    private static Tool weather() {
        return Tool.of("get_weather", input -> "rain");
    }

    private static void assertSeedFigures(RunUsage usage) {
        assertThat(usage.total().inputTokens()).isEqualTo(19_000);
        assertThat(usage.total().outputTokens()).isEqualTo(7_500);
        assertThat(usage.total().totalTokens()).isEqualTo(26_500);
        assertThat(usage.isComplete()).isTrue();
        assertThat(usage.requests()).hasSize(3);
    }

    @ParameterizedTest
    @EnumSource(UsageAt.class)
    @DisplayName("streamed over three rounds is what was billed, wherever the usage is")
    void streamed(UsageAt usageAt) {
        for (ScriptedModel model : List.of(
                ScriptedModel.threeRounds("get_weather").with(usageAt),
                ScriptedModel.threeRounds("get_weather").with(usageAt).withoutIds(),
                ScriptedModel.threeRounds("get_weather")
                        .with(usageAt)
                        .over(chunks -> chunks.publishOn(Schedulers.parallel())))) {
            NodeOutput end = agent(model, weather()).stream("Rain?").blockLast();

            assertSeedFigures(end.runUsage());
        }
        assertThat(recorder.processSum().total().totalTokens()).isEqualTo(3 * 26_500);
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("not streamed over three rounds is what was billed")
    void invoked() {
        assertSeedFigures(agent(ScriptedModel.threeRounds("get_weather"), weather())
                .invoke("Rain?")
                .block()
                .runUsage());
    }

    @ParameterizedTest
    @EnumSource(UsageAt.class)
    @DisplayName("T11: is on each completed output that round's own, beside the total so far")
    void byOutput(UsageAt usageAt) {
        List<NodeOutput> outputs = agent(
                        ScriptedModel.threeRounds("get_weather").with(usageAt), weather())
                .stream("Rain?")
                .filter(output -> output.tokenUsage() != null)
                .collectList()
                .block();

        assertThat(outputs)
                .extracting(NodeOutput::tokenUsage)
                .containsExactly(TokenUsage.of(5000, 2000), TokenUsage.of(8000, 3000), TokenUsage.of(6000, 2500));
        assertThat(outputs)
                .extracting(output -> output.runUsage().total().totalTokens())
                .containsExactly(7_000L, 18_000L, 26_500L);
        assertThat(outputs)
                .allSatisfy(output -> assertThat(output.nodeUsage().requests()).hasSize(1));
    }

    @Test
    @DisplayName("is by node, agent, round and model, and each view adds up to the total")
    void views() {
        RunUsage usage = agent(ScriptedModel.threeRounds("get_weather"), weather()).stream("Rain?")
                .blockLast()
                .runUsage();

        assertThat(usage.byNode()).containsOnlyKeys("llm");
        assertThat(usage.byAgent()).containsOnlyKeys("weather");
        assertThat(usage.byModel()).containsOnlyKeys(Turn.MODEL);
        assertThat(usage.byRound().get(1).total()).isEqualTo(TokenUsage.of(5000, 2000));
        assertThat(usage.byRound().get(2).total()).isEqualTo(TokenUsage.of(8000, 3000));
        assertThat(usage.byRound().get(3).total()).isEqualTo(TokenUsage.of(6000, 2500));
        for (Map<?, UsageSum> view : List.of(usage.byNode(), usage.byAgent(), usage.byRound(), usage.byModel())) {
            assertThat(view.values().stream().map(UsageSum::total).reduce(TokenUsage.ZERO, TokenUsage::plus))
                    .isEqualTo(BILLED);
        }
    }

    @Test
    @DisplayName("numbers its rounds from 1, in stream and in invoke, the tools' round like the model's")
    void rounds() {
        ChatModel hidden = UsageChatModel.of(ScriptedModel.of(Turn.says(70, 5, "wet")), recorder);
        Tool asking = Tool.of(
                "get_weather",
                input -> hidden.call(new Prompt("Now?")).getResult().getOutput().getText());
        ReactAgent agent = agent(ScriptedModel.threeRounds("get_weather"), asking);

        for (NodeOutput end :
                List.of(agent.stream("Rain?").blockLast(), agent.invoke("Rain?").block())) {
            assertThat(end.runUsage().requests())
                    .extracting(request -> request.node() + " " + request.round())
                    .containsExactly("llm 1", "tools 1", "llm 2", "tools 2", "llm 3");
        }
    }

    @Test
    @DisplayName("T19: has the calls that a tool makes of a model of its own, blocking or streamed")
    void hiddenCalls() {
        ScriptedModel bare = ScriptedModel.of(Turn.says(70, 5, "w", "e", "t"));
        ChatModel hidden = UsageChatModel.of(bare.over(chunks -> chunks.publishOn(Schedulers.parallel())), recorder);
        Tool blocking = Tool.of("get_weather", input -> hidden.call(new Prompt("Now?")) + "");
        Tool streaming = Tool.of(
                "get_weather", input -> hidden.stream(new Prompt("Now?")).blockLast() + "");

        for (Tool tool : List.of(blocking, streaming)) {
            ReactAgent agent = agent(ScriptedModel.threeRounds("get_weather"), tool);
            for (NodeOutput end : List.of(
                    agent.stream("Rain?").blockLast(), agent.invoke("Rain?").block())) {
                assertThat(end.runUsage().total()).isEqualTo(BILLED.plus(TokenUsage.of(140, 10)));
                assertThat(end.runUsage().byNode().get("tools").total()).isEqualTo(TokenUsage.of(140, 10));
                assertThat(end.runUsage().isComplete()).isTrue();
            }
        }
        assertThat(recorder.unattributed()).isZero();
    }

    @Test
    @DisplayName("T18: lacks the call of a tool that leaves its thread without the scope, and the recorder says so")
    void lostThread() {
        ChatModel hidden = UsageChatModel.of(ScriptedModel.of(Turn.says(70, 5, "wet")), recorder);
        Tool hopping = Tool.of(
                "get_weather",
                input -> hidden.stream(new Prompt("Now?"))
                                .subscribeOn(Schedulers.parallel())
                                .blockLast() + "");

        RunUsage usage = agent(ScriptedModel.threeRounds("get_weather"), hopping).stream("Rain?")
                .blockLast()
                .runUsage();

        assertThat(usage.total()).isEqualTo(BILLED);
        assertThat(recorder.unattributed()).isEqualTo(2);
        assertThat(recorder.processSum().total()).isEqualTo(BILLED.plus(TokenUsage.of(140, 10)));
    }

    @Test
    @DisplayName("T19: of a tool is on the tool node's output")
    void toolOutput() {
        ChatModel hidden = UsageChatModel.of(ScriptedModel.of(Turn.says(70, 5, "wet")), recorder);
        Tool asking = Tool.of("get_weather", input -> hidden.call(new Prompt("Now?")) + "");

        List<NodeOutput> tools = agent(ScriptedModel.threeRounds("get_weather"), asking).stream("Rain?")
                .filter(output -> output.node().equals(ReactAgent.TOOL_NODE))
                .collectList()
                .block();

        assertThat(tools).extracting(NodeOutput::tokenUsage).containsOnly(TokenUsage.of(70, 5));
    }

    @Test
    @DisplayName("counts once a model that the app had decorated already")
    void decoratedAlready() {
        ChatModel decorated = UsageChatModel.of(ScriptedModel.threeRounds("get_weather"), recorder);
        ReactAgent agent = agent(decorated, weather());

        assertSeedFigures(agent.stream("Rain?").blockLast().runUsage());
        assertSeedFigures(agent.invoke("Rain?").block().runUsage());
        assertThat(recorder.processSum().requests()).isEqualTo(6);
    }

    @Test
    @DisplayName("counts once a decorated model that the app has wrapped in another")
    void decoratedAndWrapped() {
        ChatModel decorated = UsageChatModel.of(ScriptedModel.threeRounds("get_weather"), recorder);
        ChatModel wrapped = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                return decorated.call(prompt);
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return decorated.stream(prompt);
            }
        };
        ReactAgent agent = agent(wrapped, weather());

        assertSeedFigures(agent.stream("Rain?").blockLast().runUsage());
        assertSeedFigures(agent.invoke("Rain?").block().runUsage());
        assertThat(recorder.processSum().requests()).isEqualTo(6);
    }

    @Test
    @DisplayName("is there before blockLast() returns, every time")
    void thereInTime() {
        ReactAgent agent = agent(
                ScriptedModel.threeRounds("get_weather")
                        .with(UsageAt.USAGE_ONLY_CHUNK)
                        .over(chunks -> chunks.publishOn(Schedulers.parallel())),
                weather());

        for (int i = 0; i < 1_000; i++) {
            RunScope run = RunScope.start();
            NodeOutput end = run.wrap(agent.stream("Rain?")).blockLast();

            assertThat(run.getTokenUsage()).isEqualTo(BILLED);
            assertThat(end.runUsage().total()).isEqualTo(BILLED);
        }
    }

    @Test
    @DisplayName("T7: of a model that reports none is missing, request by request, and never exact")
    void silentProvider() {
        ScriptedModel model = ScriptedModel.threeRounds("get_weather")
                .with(UsageAt.USAGE_ONLY_CHUNK)
                .over(chunks -> chunks.filter(chunk -> chunk.getResult() != null));

        RunUsage usage = agent(model, weather()).stream("Rain?").blockLast().runUsage();

        assertThat(usage.isComplete()).isFalse();
        assertThat(usage.requests())
                .extracting(RequestUsage::source)
                .containsExactly(UsageSource.MISSING, UsageSource.MISSING, UsageSource.MISSING);
    }

    @Test
    @DisplayName("of one round that is silent leaves the others in the total, which says that it is not complete")
    void oneSilentRound() {
        ScriptedModel model = ScriptedModel.threeRounds("get_weather")
                .with(UsageAt.USAGE_ONLY_CHUNK)
                .over(chunks -> chunks.filter(chunk -> chunk.getResult() != null
                        || chunk.getMetadata().getUsage().getPromptTokens() != 8000));

        RunUsage usage = agent(model, weather()).stream("Rain?").blockLast().runUsage();

        assertThat(usage.total()).isEqualTo(TokenUsage.of(11000, 4500));
        assertThat(usage.unreported()).isEqualTo(1);
    }
}
