package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.fluxtally.graph.CompileConfig;
import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.scripted.Graphs;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimit;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimitReached;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.core.ParameterizedTypeReference;

/** Rounds of 7,000, 11,000 and 8,500 tokens. */
@DisplayName("an agent with limits")
class LimitedAgentTest {

    private final ScriptedModel model = ScriptedModel.threeRounds("get_weather");

    private ReactAgent agent(UsageLimits limits) {
        return agent(limits, Tool.of("get_weather", input -> "rain"));
    }

    private ReactAgent agent(UsageLimits limits, ToolCallback tool) {
        return ReactAgent.builder("weather")
                .model(model)
                .tools(tool)
                .limits(limits)
                .build();
    }

    private static NodeOutput end(ReactAgent agent, boolean streamed) {
        return streamed
                ? agent.stream("Rain?").blockLast()
                : agent.invoke("Rain?").block();
    }

    private static void assertRefusedAfterTwoRounds(NodeFailedException failed, UsageLimit limit, long used) {
        assertThat(failed.node()).isEqualTo(ReactAgent.LLM_NODE);
        assertThat(failed.usage().total()).isEqualTo(TokenUsage.of(13_000, 5_000));
        assertThat(failed.usage().isComplete()).isTrue();
        assertThat(failed.getCause()).isInstanceOfSatisfying(UsageLimitExceededException.class, refused -> {
            assertThat(refused.limit()).isEqualTo(limit);
            assertThat(refused.used()).isEqualTo(used);
            assertThat(refused.usage().total()).isEqualTo(TokenUsage.of(13_000, 5_000));
        });
    }

    @ParameterizedTest
    @CsvSource({"true", "false"})
    @DisplayName("fails before the round that goes beyond one, streamed or not, and starts anew with each run")
    void refused(boolean streamed) {
        for (int run = 0; run < 2; run++) {
            assertRefusedAfterTwoRounds(
                    failure(agent(UsageLimits.NONE.withRequests(2)), streamed), UsageLimit.REQUESTS, 2);
            assertRefusedAfterTwoRounds(
                    failure(agent(UsageLimits.NONE.withInputTokens(5_001)), streamed), UsageLimit.INPUT_TOKENS, 13_000);
            assertRefusedAfterTwoRounds(
                    failure(agent(UsageLimits.NONE.withOutputTokens(5_000)), streamed),
                    UsageLimit.OUTPUT_TOKENS,
                    5_000);
            ReactAgent agent = agent(UsageLimits.NONE.withTotalTokens(18_000));
            assertRefusedAfterTwoRounds(failure(agent, streamed), UsageLimit.TOTAL_TOKENS, 18_000);
            assertRefusedAfterTwoRounds(failure(agent, streamed), UsageLimit.TOTAL_TOKENS, 18_000);
        }
        assertThat(model.prompts()).hasSize(2 * 5 * 2);
    }

    private static NodeFailedException failure(ReactAgent agent, boolean streamed) {
        NodeFailedException failed = catchThrowableOfType(NodeFailedException.class, () -> end(agent, streamed));
        assertThat(failed).isNotNull();
        return failed;
    }

    @ParameterizedTest
    @CsvSource({"true", "false"})
    @DisplayName("goes through within them, and beyond them where they only notify")
    void within(boolean streamed) {
        List<UsageLimitReached> events = new CopyOnWriteArrayList<>();
        UsageLimits soft =
                UsageLimits.NONE.withRequests(1).withTotalTokens(7_001).notifying(events::add);

        assertThat(end(agent(UsageLimits.NONE.withRequests(3).withTotalTokens(18_001)), streamed)
                        .runUsage()
                        .isComplete())
                .isTrue();
        assertThat(end(agent(soft), streamed).runUsage().total().totalTokens()).isEqualTo(26_500);
        assertThat(events)
                .extracting(UsageLimitReached::limit)
                .containsExactly(UsageLimit.REQUESTS, UsageLimit.TOTAL_TOKENS);
    }

    @ParameterizedTest
    @CsvSource({"true", "false"})
    @DisplayName("counts what its tools ask of models, and refuses that too, or the round that is told of it")
    void tools(boolean streamed) {
        ScriptedModel inner = ScriptedModel.of(Turn.says(70, 5, "wet"));
        ChatModel hidden = UsageChatModel.of(inner);
        UnaryOperator<String> asks = input -> hidden.call(new Prompt("Now?")) + "";
        ToolCallback wrapping = FunctionToolCallback.builder(
                        "get_weather", (Map<String, Object> input) -> asks.apply(""))
                .description("Wraps what it throws.")
                .inputType(new ParameterizedTypeReference<Map<String, Object>>() {})
                .build();
        UsageLimits limits = UsageLimits.NONE.withRequests(3);

        NodeFailedException inTool = failure(agent(limits, Tool.of("get_weather", asks)), streamed);
        NodeFailedException inNextRound = failure(agent(limits, wrapping), streamed);

        assertThat(inTool.node()).isEqualTo(ReactAgent.TOOL_NODE);
        assertThat(inNextRound.node()).isEqualTo(ReactAgent.LLM_NODE);
        assertThat(List.of(inTool, inNextRound)).allSatisfy(failed -> {
            assertThat(failed).hasCauseInstanceOf(UsageLimitExceededException.class);
            assertThat(failed.usage().requests()).hasSize(3);
        });
        assertThat(inner.prompts()).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource({"true", "false"})
    @DisplayName("is held by those of the run that it is a part of")
    void outerRun(boolean streamed) throws Exception {
        RunScope run = RunScope.start().withLimits(UsageLimits.NONE.withRequests(2));

        NodeFailedException failed = run.call(() -> failure(agent(UsageLimits.NONE.withRequests(10)), streamed));

        assertThat(failed.getCause())
                .isInstanceOfSatisfying(
                        UsageLimitExceededException.class,
                        refused -> assertThat(refused.max()).isEqualTo(2));
        assertThat(run.usage().requests()).hasSize(2);
    }

    @Test
    @DisplayName("is like a graph with them, whose nodes are refused before their model is asked")
    void graph() {
        ScriptedModel two = ScriptedModel.of(Turn.says(10, 1, "a"), Turn.says(20, 2, "b"));
        CompiledGraph graph = Graphs.pair(Graphs.asks(two), Graphs.asks(two))
                .compile(CompileConfig.DEFAULT.withLimits(UsageLimits.NONE.withRequests(1)));

        NodeFailedException failed = catchThrowableOfType(
                NodeFailedException.class, () -> graph.stream(Map.of()).blockLast());

        assertThat(failed.node()).isEqualTo("second");
        assertThat(failed.usage().total()).isEqualTo(TokenUsage.of(10, 1));
        assertThat(two.prompts()).hasSize(1);
    }
}
