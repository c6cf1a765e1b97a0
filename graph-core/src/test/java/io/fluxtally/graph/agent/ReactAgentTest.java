package io.fluxtally.graph.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.tuple;

import io.fluxtally.graph.MaxIterationsException;
import io.fluxtally.graph.NodeFailedException;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StreamingOutput;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.MessageType;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.model.ToolContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.ai.tool.execution.ToolExecutionException;
import reactor.core.publisher.Flux;

@DisplayName("a ReAct agent")
@Timeout(60)
class ReactAgentTest {

    private final Tool weather = Tool.of("get_weather", input -> "rain");

    private enum Way {
        STREAM {
            @Override
            NodeOutput end(ReactAgent agent, String question) {
                return agent.stream(question).blockLast();
            }
        },
        INVOKE {
            @Override
            NodeOutput end(ReactAgent agent, String question) {
                return agent.invoke(question).block();
            }
        };

        abstract NodeOutput end(ReactAgent agent, String question);
    }

    private static ReactAgent.Builder agent(ChatModel model, ToolCallback... tools) {
        return ReactAgent.builder("weather").model(model).tools(tools);
    }

    private static List<Message> messages(NodeOutput end) {
        return end.state().list(ReactAgent.MESSAGES);
    }

    private static List<MessageType> types(List<Message> messages) {
        return messages.stream().map(Message::getMessageType).toList();
    }

    /** A model that asks for a tool in each of the given number of rounds, then answers. */
    private static ScriptedModel toolRounds(int rounds) {
        List<Turn> turns = new ArrayList<>();
        for (int i = 0; i < rounds; i++) {
            turns.add(Turn.asks(1_000 * (i + 1), 10, "get_weather"));
        }
        turns.add(Turn.says(500, 5, "It ", "will ", "rain."));
        return ScriptedModel.of(turns.toArray(Turn[]::new));
    }

    /** The model, with the text and the tool calls of a response as two generations. */
    private static ChatModel withToolCallsApart(ChatModel model) {
        UnaryOperator<ChatResponse> apart = response -> {
            AssistantMessage message = response.getResult().getOutput();
            Generation text = new Generation(new AssistantMessage(message.getText()));
            Generation toolCalls = new Generation(
                    AssistantMessage.builder().toolCalls(message.getToolCalls()).build());
            return new ChatResponse(
                    message.hasToolCalls() ? List.of(text, toolCalls) : List.of(text), response.getMetadata());
        };
        return new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                return apart.apply(model.call(prompt));
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return model.stream(prompt).map(apart);
            }
        };
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 5})
    @DisplayName("runs as many rounds of tools as the model asks for, in stream and in invoke")
    void rounds(int rounds) {
        for (Way way : Way.values()) {
            Tool tool = Tool.of("get_weather", input -> "rain");
            NodeOutput end = way.end(agent(toolRounds(rounds), tool).build(), "Rain?");

            assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
            assertThat(tool.calls()).isEqualTo(rounds);
            assertThat(messages(end)).hasSize(2 + 2 * rounds);
            assertThat(end.runUsage().sum().requests()).isEqualTo(rounds + 1L);
            assertThat(end.isEnd()).isTrue();
            assertThat(end.agent()).isEqualTo("weather");
        }
    }

    @Test
    @DisplayName("streams the model's chunks, then the tools' output, round by round")
    void outputs() {
        List<String> outputs = agent(toolRounds(1), weather).build().stream("Rain?")
                .map(output -> output.node()
                        + (output instanceof StreamingOutput chunk
                                ? chunk.isComplete() ? " complete" : " " + chunk.text()
                                : ""))
                .collectList()
                .block();

        assertThat(outputs)
                .containsExactly(
                        "llm Let ",
                        "llm me ",
                        "llm see.",
                        "llm complete",
                        "tools",
                        "llm It ",
                        "llm will ",
                        "llm rain.",
                        "llm complete",
                        "__END__");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("shows the model the whole conversation in each round")
    void conversationGrows(Way way) {
        ScriptedModel model = toolRounds(1);

        way.end(agent(model, weather).build(), "Rain?");

        assertThat(model.prompts()).hasSize(2);
        assertThat(types(model.prompts().get(0).getInstructions())).containsExactly(MessageType.USER);
        assertThat(types(model.prompts().get(1).getInstructions()))
                .containsExactly(MessageType.USER, MessageType.ASSISTANT, MessageType.TOOL);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("runs all tools that one round asks for, and answers them together and in order")
    void twoToolsInOneRound(Way way) {
        Tool clock = Tool.of("get_time", input -> "noon");
        ScriptedModel model =
                ScriptedModel.of(Turn.asks(100, 8, "get_weather", "get_time"), Turn.says(50, 4, "Rain at noon."));

        NodeOutput end = way.end(agent(model, weather, clock).build(), "When will it rain?");

        assertThat(types(messages(end)))
                .containsExactly(MessageType.USER, MessageType.ASSISTANT, MessageType.TOOL, MessageType.ASSISTANT);
        assertThat(((ToolResponseMessage) messages(end).get(2)).getResponses())
                .extracting(ToolResponseMessage.ToolResponse::name, ToolResponseMessage.ToolResponse::responseData)
                .containsExactly(tuple("get_weather", "rain"), tuple("get_time", "noon"));
        assertThat(weather.calls()).isEqualTo(1);
        assertThat(clock.calls()).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("runs a tool that is asked for beside the text, as Anthropic's client hands out text and tool calls")
    void toolCallInASecondGeneration(Way way) {
        ChatModel model = withToolCallsApart(toolRounds(1));

        NodeOutput end = way.end(agent(model, weather).build(), "Rain?");

        assertThat(weather.calls()).isEqualTo(1);
        assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("tells the model of a tool's error, as Spring AI does, and goes on")
    void toolError(Way way) {
        ToolDefinition definition = weather.getToolDefinition();
        Tool broken = Tool.of("get_weather", input -> {
            throw new ToolExecutionException(definition, new IllegalStateException("station is down"));
        });

        NodeOutput end = way.end(agent(toolRounds(1), broken).build(), "Rain?");

        assertThat(((ToolResponseMessage) messages(end).get(2)).getResponses())
                .singleElement()
                .satisfies(response -> assertThat(response.responseData()).isEqualTo("station is down"));
        assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName(
            "ends with an error of the tool node where a tool breaks in a way that Spring AI does not tell the model")
    void toolBreaks(Way way) {
        Tool broken = Tool.of("get_weather", input -> {
            throw new IllegalArgumentException("no such city");
        });

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> way.end(agent(toolRounds(1), broken).build(), "Rain?"))
                .satisfies(error -> {
                    assertThat(error.graph()).isEqualTo("weather");
                    assertThat(error.node()).isEqualTo("tools");
                    assertThat(error).hasRootCauseMessage("no such city");
                    assertThat(error.usage().total()).isEqualTo(TokenUsage.of(1000, 10));
                });
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("ends with a tool's answer, and asks the model no more, where the tool answers directly")
    void returnDirect(Way way) {
        ScriptedModel model = toolRounds(1);
        Tool direct = Tool.direct("get_weather", input -> "rain, straight from the station");

        NodeOutput end = way.end(agent(model, direct).build(), "Rain?");

        assertThat(ReactAgent.answer(end)).isEqualTo("rain, straight from the station");
        assertThat(model.prompts()).hasSize(1);
        assertThat(types(messages(end)))
                .containsExactly(MessageType.USER, MessageType.ASSISTANT, MessageType.TOOL, MessageType.ASSISTANT);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(1000, 10));
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("ends with an error that names the tool where the model asks for one that is not there")
    void unknownTool(Way way) {
        ScriptedModel model = ScriptedModel.of(Turn.asks(100, 8, "get_horoscope"));

        assertThatExceptionOfType(NodeFailedException.class)
                .isThrownBy(() -> way.end(agent(model, weather).build(), "Rain?"))
                .withMessageContaining("get_horoscope")
                .satisfies(error -> {
                    assertThat(error.node()).isEqualTo("tools");
                    assertThat(error.usage().total()).isEqualTo(TokenUsage.of(100, 8));
                });
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("puts the system prompt before each request, once, and not into the state")
    void systemPrompt(Way way) {
        ScriptedModel model = toolRounds(2);

        NodeOutput end = way.end(agent(model, weather).systemPrompt("Be brief.").build(), "Rain?");

        assertThat(model.prompts()).hasSize(3).allSatisfy(prompt -> {
            assertThat(prompt.getInstructions()).first().isInstanceOf(SystemMessage.class);
            assertThat(prompt.getSystemMessage().getText()).isEqualTo("Be brief.");
            assertThat(prompt.getInstructions())
                    .filteredOn(SystemMessage.class::isInstance)
                    .hasSize(1);
        });
        assertThat(messages(end)).noneMatch(SystemMessage.class::isInstance);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("goes on with a conversation that an earlier run ended with")
    void multiTurn(Way way) {
        ScriptedModel model = toolRounds(1);
        ReactAgent agent = agent(model, weather).systemPrompt("Be brief.").build();
        NodeOutput first = way.end(agent, "Rain?");
        List<Message> conversation = new ArrayList<>(messages(first));
        conversation.add(new UserMessage("And tomorrow?"));

        NodeOutput second = way == Way.STREAM
                ? agent.stream(conversation).blockLast()
                : agent.invoke(conversation).block();

        assertThat(messages(second)).hasSize(8).startsWith(conversation.toArray(Message[]::new));
        assertThat(messages(first)).hasSize(4);
        assertThat(second.runUsage().sum().requests()).isEqualTo(2);
        assertThat(model.prompts().get(2).getInstructions())
                .filteredOn(SystemMessage.class::isInstance)
                .hasSize(1);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("copies the options that it is given, replaces their tools, and runs the tools itself")
    void options(Way way) {
        ScriptedModel model = toolRounds(1);
        Tool other = Tool.of("other", input -> "");
        ToolCallingChatOptions given = DefaultToolCallingChatOptions.builder()
                .model("scripted-1-large")
                .temperature(0.25)
                .toolCallbacks(other)
                .build();

        way.end(agent(model, weather).options(given).build(), "Rain?");

        assertThat(model.prompts()).allSatisfy(prompt -> {
            ToolCallingChatOptions asked = (ToolCallingChatOptions) prompt.getOptions();
            assertThat(asked.getModel()).isEqualTo("scripted-1-large");
            assertThat(asked.getTemperature()).isEqualTo(0.25);
            assertThat(asked.getToolCallbacks()).containsExactly(weather);
            assertThat(asked.getInternalToolExecutionEnabled()).isFalse();
        });
        assertThat(given.getToolCallbacks()).containsExactly(other);
        assertThat(given.getInternalToolExecutionEnabled()).isNull();
    }

    @Test
    @DisplayName("is not changed by later changes of the options that it was built with")
    void optionsAreCopied() {
        ScriptedModel model = toolRounds(0);
        DefaultToolCallingChatOptions given = new DefaultToolCallingChatOptions();
        given.setModel("before");
        ReactAgent agent = agent(model).options(given).build();
        given.setModel("after");

        agent.invoke("Rain?").block();

        assertThat(model.prompts().get(0).getOptions().getModel()).isEqualTo("before");
    }

    @Test
    @DisplayName("refuses options that cannot carry tools")
    void wrongOptions() {
        ChatOptions plain = ChatOptions.builder().model("scripted-1").build();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> agent(toolRounds(0)).options(plain).build())
                .withMessage("options must be ToolCallingChatOptions, but are a "
                        + plain.getClass().getName());
    }

    @Test
    @DisplayName("hands the options' tool context and the conversation so far to its tools")
    void toolContext() {
        AtomicReference<Map<String, Object>> seen = new AtomicReference<>();
        ToolCallback tool = new ToolCallback() {
            @Override
            public ToolDefinition getToolDefinition() {
                return weather.getToolDefinition();
            }

            @Override
            public String call(String input) {
                throw new AssertionError("asked without a context");
            }

            @Override
            public String call(String input, ToolContext context) {
                seen.set(context.getContext());
                return "rain";
            }
        };
        ToolCallingChatOptions given = DefaultToolCallingChatOptions.builder()
                .toolContext(Map.of("tenant", "acme"))
                .build();

        agent(toolRounds(1), tool).options(given).build().stream("Rain?").blockLast();

        assertThat(seen.get()).containsEntry("tenant", "acme");
        assertThat((List<?>) seen.get().get(ToolContext.TOOL_CALL_HISTORY))
                .as("the conversation up to the call, which Spring AI adds")
                .extracting(message -> ((Message) message).getMessageType())
                .containsExactly(MessageType.USER, MessageType.ASSISTANT);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("ends with a typed error where the model asks for tools in its last allowed round")
    void maxRounds(Way way) {
        ReactAgent agent = agent(toolRounds(5), weather).maxRounds(3).build();

        assertThatExceptionOfType(MaxIterationsException.class)
                .isThrownBy(() -> way.end(agent, "Rain?"))
                .withMessage("graph \"weather\": maxRounds is 3, and node \"tools\" would lead to one more")
                .satisfies(error -> {
                    assertThat(error.graph()).isEqualTo("weather");
                    assertThat(error.node()).isEqualTo(ReactAgent.TOOL_NODE);
                    assertThat(error.limit()).isEqualTo(3);
                    assertThat(error.usage().total()).isEqualTo(TokenUsage.of(6000, 30));
                    assertThat(error.usage().byRound()).containsOnlyKeys(1, 2, 3);
                });
        assertThat(weather.calls()).isEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("may answer in its last allowed round")
    void lastRound(Way way) {
        NodeOutput end = way.end(agent(toolRounds(2), weather).maxRounds(3).build(), "Rain?");

        assertThat(ReactAgent.answer(end)).isEqualTo("It will rain.");
    }

    @Test
    @DisplayName("refuses to have no round, or no model")
    void builder() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ReactAgent.builder("weather").maxRounds(0))
                .withMessage("maxRounds must be 1 or more, but is 0");
        assertThatNullPointerException()
                .isThrownBy(() -> ReactAgent.builder("weather").build())
                .withMessage("model");
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    @DisplayName("answers nothing where the model's response is empty")
    void emptyResponse(Way way) {
        ChatModel silent = new ChatModel() {
            @Override
            public ChatResponse call(Prompt prompt) {
                return new ChatResponse(List.of());
            }

            @Override
            public Flux<ChatResponse> stream(Prompt prompt) {
                return Flux.empty();
            }
        };

        NodeOutput end = way.end(agent(silent, weather).build(), "Rain?");

        assertThat(ReactAgent.answer(end)).isEmpty();
        assertThat(types(messages(end))).containsExactly(MessageType.USER, MessageType.ASSISTANT);
        assertThat(end.runUsage().sum().missing()).isEqualTo(1);
    }

    @Test
    @DisplayName("answers nothing where the model gives null")
    void nullResponse() {
        assertThat(ReactAgent.answer(
                        agent(prompt -> null, weather).build().invoke("Rain?").block()))
                .isEmpty();
    }

    @Test
    @DisplayName("loses no chunk to a slow consumer, though the model drops what is not asked for")
    void slowConsumer() {
        String[] words = IntStream.range(0, 3_000).mapToObj(i -> i + " ").toArray(String[]::new);
        ScriptedModel model = ScriptedModel.of(Turn.asks(100, 8, "get_weather"), Turn.says(100, 3_000, words))
                .over(Flux::onBackpressureDrop);
        ReactAgent agent = agent(model, weather).build();

        for (int demand : new int[] {1, 3, 64}) {
            String text = agent.stream("Count.")
                    .limitRate(demand)
                    .ofType(StreamingOutput.class)
                    .map(StreamingOutput::text)
                    .collect(Collectors.joining())
                    .block();

            assertThat(text).isEqualTo("Let me see." + String.join("", words));
        }
    }

    @Test
    @DisplayName("joins text, tool calls and properties of a streamed answer into one message")
    void joins() {
        ScriptedModel model = toolRounds(1);

        NodeOutput end = agent(model, weather).build().stream("Rain?").blockLast();

        AssistantMessage asked = (AssistantMessage) messages(end).get(1);
        assertThat(asked.getText()).isEqualTo("Let me see.");
        assertThat(asked.getToolCalls())
                .extracting(AssistantMessage.ToolCall::name)
                .containsExactly("get_weather");
        assertThat(asked.getMetadata()).containsEntry("messageType", MessageType.ASSISTANT);
    }

    @Test
    @DisplayName("without tools asks the model once")
    void withoutTools() {
        ScriptedModel model = ScriptedModel.of(Turn.says(5, 1, "Hello."));

        NodeOutput end = agent(model).maxRounds(1).build().invoke("Hello?").block();

        assertThat(ReactAgent.answer(end)).isEqualTo("Hello.");
    }
}
