package io.fluxtally.graph.agent;

import io.fluxtally.graph.CompileConfig;
import io.fluxtally.graph.CompiledGraph;
import io.fluxtally.graph.GraphState;
import io.fluxtally.graph.GraphThread;
import io.fluxtally.graph.KeyStrategy;
import io.fluxtally.graph.NodeAction;
import io.fluxtally.graph.NodeConfig;
import io.fluxtally.graph.NodeOutput;
import io.fluxtally.graph.StateGraph;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.tool.ToolCallback;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/**
 * An agent that asks a model, runs the tools that it asks for, and goes on until it answers without any: each turn of
 * this loop is a round.
 *
 * <pre>{@code
 * ReactAgent agent = ReactAgent.builder("weather").model(model).tools(getWeather).build();
 * agent.stream("Will it rain?").subscribe(output -> ...);
 * }</pre>
 *
 * <p>Immutable and safe for use by any number of threads if the model and the tools are.
 */
public final class ReactAgent {

    /** The key of the conversation in the state: a list of {@code Message}s. */
    public static final String MESSAGES = "messages";

    /** The node that asks the model. */
    public static final String LLM_NODE = "llm";

    /** The node that runs tools. */
    public static final String TOOL_NODE = "tools";

    private static final String ON = "on";

    private final CompiledGraph graph;

    private ReactAgent(Builder builder, ChatModel model) {
        ToolCallingChatOptions options = optionsOf(builder.options, builder.tools);
        SystemMessage system = builder.systemPrompt == null ? null : new SystemMessage(builder.systemPrompt);
        NodeConfig asking = NodeConfig.DEFAULT.withTimeout(builder.timeout).withRetry(builder.retry);
        for (ChatModel fallback : builder.fallbackModels) {
            asking = asking.withFallback(asking(fallback, system, portable(options)));
        }
        StateGraph definition = new StateGraph(builder.name)
                .keyStrategy(MESSAGES, KeyStrategy.APPEND)
                .addNode(LLM_NODE, asking(model, system, options), asking)
                .addEdge(StateGraph.START, LLM_NODE);
        if (builder.tools.isEmpty()) {
            definition.addEdge(LLM_NODE, StateGraph.END);
        } else {
            definition
                    .addNode(
                            TOOL_NODE,
                            new ToolNode(builder.toolCallingManager, options, MESSAGES, builder.parallelTools))
                    .addConditionalEdges(
                            LLM_NODE,
                            state -> asksForTools(lastMessage(state)) ? TOOL_NODE : StateGraph.END,
                            Map.of(TOOL_NODE, TOOL_NODE, StateGraph.END, StateGraph.END))
                    .addConditionalEdges(
                            TOOL_NODE,
                            state -> lastMessage(state) instanceof AssistantMessage ? StateGraph.END : ON,
                            Map.of(ON, LLM_NODE, StateGraph.END, StateGraph.END));
        }
        this.graph = definition.compile(builder.saving
                .withMaxRounds(builder.maxRounds)
                .withRecorder(builder.recorder)
                .withAgent(builder.name)
                .withLimits(builder.limits));
    }

    /** The options with the tools in them, which the graph runs and not the model; an agent without tools changes none. */
    private static ToolCallingChatOptions optionsOf(@Nullable ChatOptions given, List<ToolCallback> tools) {
        ToolCallingChatOptions options;
        if (given == null) {
            options = new DefaultToolCallingChatOptions();
        } else if (given.copy() instanceof ToolCallingChatOptions toolOptions) {
            options = toolOptions;
        } else {
            throw new IllegalArgumentException("options must be ToolCallingChatOptions, but are a "
                    + given.getClass().getName());
        }
        if (!tools.isEmpty()) {
            options.setToolCallbacks(tools);
            options.setInternalToolExecutionEnabled(false);
        }
        return options;
    }

    /** What any model knows of the options. */
    private static ToolCallingChatOptions portable(ToolCallingChatOptions options) {
        DefaultToolCallingChatOptions portable = new DefaultToolCallingChatOptions();
        portable.setFrequencyPenalty(options.getFrequencyPenalty());
        portable.setMaxTokens(options.getMaxTokens());
        portable.setPresencePenalty(options.getPresencePenalty());
        portable.setStopSequences(options.getStopSequences());
        portable.setTemperature(options.getTemperature());
        portable.setTopK(options.getTopK());
        portable.setTopP(options.getTopP());
        portable.setToolCallbacks(options.getToolCallbacks());
        portable.setToolNames(options.getToolNames());
        portable.setToolContext(Objects.requireNonNullElse(options.getToolContext(), Map.of()));
        portable.setInternalToolExecutionEnabled(options.getInternalToolExecutionEnabled());
        return portable;
    }

    private static LlmNode asking(ChatModel model, @Nullable SystemMessage system, ChatOptions options) {
        return new LlmNode(model, state -> promptOf(system, state, options), MESSAGES);
    }

    private static Prompt promptOf(@Nullable SystemMessage system, GraphState state, ChatOptions options) {
        List<Message> messages = state.list(MESSAGES);
        if (system == null) {
            return new Prompt(messages, options);
        }
        List<Message> all = new ArrayList<>(messages.size() + 1);
        all.add(system);
        all.addAll(messages);
        return new Prompt(all, options);
    }

    private static @Nullable Message lastMessage(GraphState state) {
        List<Message> messages = state.list(MESSAGES);
        return messages.isEmpty() ? null : messages.get(messages.size() - 1);
    }

    private static boolean asksForTools(@Nullable Message message) {
        return message instanceof AssistantMessage answer && answer.hasToolCalls();
    }

    /** A builder for an agent of the given name. */
    public static Builder builder(String name) {
        return new Builder(name);
    }

    /** The agent's name. */
    public String name() {
        return graph.name();
    }

    /** The graph that the agent is. */
    public CompiledGraph graph() {
        return graph;
    }

    /** The input of a run in which the agent is asked a question: for its {@link #thread}. */
    public static Map<String, ?> asking(String question) {
        return Map.of(MESSAGES, List.of(new UserMessage(question)));
    }

    /**
     * The thread of the given id, in which a run of the agent is saved as it goes.
     *
     * @throws IllegalStateException if the agent has no {@linkplain Builder#checkpoints saver}
     */
    public GraphThread thread(String threadId) {
        return graph.thread(threadId);
    }

    /** Asks the agent; outputs come as they are made, the last one is the end of the run. */
    public Flux<NodeOutput> stream(String question) {
        return stream(List.of(new UserMessage(question)));
    }

    /** Goes on with a conversation; outputs come as they are made, the last one is the end of the run. */
    public Flux<NodeOutput> stream(List<Message> conversation) {
        return graph.stream(Map.of(MESSAGES, conversation));
    }

    /** Asks the agent and gives the end of the run, without streaming. */
    public Mono<NodeOutput> invoke(String question) {
        return invoke(List.of(new UserMessage(question)));
    }

    /** Goes on with a conversation and gives the end of the run, without streaming. */
    public Mono<NodeOutput> invoke(List<Message> conversation) {
        return graph.invoke(Map.of(MESSAGES, conversation));
    }

    /**
     * This agent as a node of a graph that has the conversation under {@link #MESSAGES}, appended to: the agent goes on
     * with it. Its outputs are outputs of the run, as of any sub-graph; its requests are counted under its own name.
     */
    public NodeAction asNode() {
        return graph.asNode();
    }

    /**
     * This agent as a node that has a conversation of its own. Its outputs are outputs of the run, as of any sub-graph;
     * its requests are counted under its own name.
     *
     * @param question what it is asked, given the state of the graph around it
     * @param answerKey the key that the text of its answer goes to
     */
    public NodeAction asNode(Function<? super GraphState, String> question, String answerKey) {
        Objects.requireNonNull(question, "question");
        Objects.requireNonNull(answerKey, "answerKey");
        return graph.asNode(state -> asking(question.apply(state)), state -> Map.of(answerKey, answer(state)));
    }

    /** {@link #asTool(String, String)} under the agent's own name. */
    public ToolCallback asTool(String description) {
        return asTool(name(), description);
    }

    /**
     * This agent as a tool of another, which asks it a {@code question} and gets the text of its answer. What it uses is
     * counted in the run of the other, under its own name. The other's {@link ToolNode} runs it without a blocked thread,
     * streamed if the run is, and not through the {@code ToolCallingManager}; its outputs are no outputs of the run.
     * Nothing else can run it: as nothing here blocks, its {@code call} throws.
     *
     * @param name the name that the model calls it by
     * @param description tells the model when to call it
     */
    public ToolCallback asTool(String name, String description) {
        return new AgentTool(this, name, description);
    }

    /** The text of the agent's answer in the state of an output; empty if there is none. */
    public static String answer(NodeOutput output) {
        return answer(output.state());
    }

    private static String answer(GraphState state) {
        return lastMessage(state) instanceof AssistantMessage answer
                ? Objects.requireNonNullElse(answer.getText(), "")
                : "";
    }

    /** Settings of an agent. Not safe for use by several threads. */
    public static final class Builder {

        private final String name;
        private @Nullable ChatModel model;
        private List<ChatModel> fallbackModels = List.of();
        private @Nullable Retry retry;
        private @Nullable Duration timeout;
        private List<ToolCallback> tools = List.of();
        private @Nullable String systemPrompt;
        private @Nullable ChatOptions options;
        private int maxRounds = 50;
        private int parallelTools = 1;
        private UsageRecorder recorder = UsageRecorder.shared();
        private UsageLimits limits = UsageLimits.NONE;
        private CompileConfig saving = CompileConfig.DEFAULT;
        private ToolCallingManager toolCallingManager =
                ToolCallingManager.builder().build();

        private Builder(String name) {
            this.name = Objects.requireNonNull(name, "name");
        }

        /** Sets the model to ask; required. */
        public Builder model(ChatModel value) {
            this.model = value;
            return this;
        }

        /**
         * Sets models to ask in place of the model, in a round in which it failed for good, and then each once those before
         * it have; none unless set. They are asked with their own defaults and, of the {@linkplain #options options}, those
         * that every model knows, but not the model's name.
         */
        public Builder fallbackModels(ChatModel... values) {
            this.fallbackModels = List.of(values);
            return this;
        }

        /**
         * Sets whether and how often a model that failed is asked again, in each round; never unless set. An answer that
         * failed in the middle is asked for anew, and its outputs have been seen by then: those of the next attempt
         * {@linkplain NodeOutput#attempt() say so}. A refusal by a limit is not retried.
         */
        public Builder retry(Retry value) {
            this.retry = value;
            return this;
        }

        /**
         * Sets how long an attempt at a model's answer may take, to its end; any time unless set.
         *
         * @throws IllegalArgumentException if it is not positive
         */
        public Builder timeout(Duration value) {
            this.timeout = NodeConfig.DEFAULT.withTimeout(value).timeout();
            return this;
        }

        /** Sets the tools that the model may ask for; none unless set. */
        public Builder tools(ToolCallback... values) {
            this.tools = List.of(values);
            return this;
        }

        /** Sets what the model is told before each conversation; nothing unless set. */
        public Builder systemPrompt(String value) {
            this.systemPrompt = value;
            return this;
        }

        /** Sets options of the model, such as its name; its defaults unless set. Their tools are replaced. */
        public Builder options(ChatOptions value) {
            this.options = value;
            return this;
        }

        /**
         * Sets how many rounds a run may have; 50 unless set.
         *
         * @throws IllegalArgumentException if it is less than 1
         */
        public Builder maxRounds(int value) {
            if (value < 1) {
                throw new IllegalArgumentException("maxRounds must be 1 or more, but is " + value);
            }
            this.maxRounds = value;
            return this;
        }

        /**
         * Sets how many of the tools that the model asks for in one round run at once; 1 unless set, since tools may count
         * on running alone and in order. Their answers are in the order in which the model asked.
         *
         * @throws IllegalArgumentException if it is less than 1
         */
        public Builder parallelTools(int value) {
            if (value < 1) {
                throw new IllegalArgumentException("parallelTools must be 1 or more, but is " + value);
            }
            this.parallelTools = value;
            return this;
        }

        /**
         * Sets where requests are booked, beside the run; the recorder of this process unless set. Those that the wire tap
         * sees go to the tap's own.
         */
        public Builder recorder(UsageRecorder value) {
            this.recorder = value;
            return this;
        }

        /**
         * Sets how much a run may use, over all its rounds and what its tools ask of models; any amount unless set. A round
         * that goes beyond fails with a {@code UsageLimitExceededException}, before anything is requested. Spring AI's own
         * tools tell the model of what they threw, so where a call inside one is refused the run ends with the next round.
         */
        public Builder limits(UsageLimits value) {
            this.limits = value;
            return this;
        }

        /** Sets where runs are saved as they go; nowhere unless set. {@link ReactAgent#thread} takes them up again. */
        public Builder checkpoints(CheckpointSaver value) {
            this.saving = saving.withCheckpoints(value);
            return this;
        }

        /**
         * Sets nodes before which a run is interrupted, such as {@link #TOOL_NODE} to let a person see the tool calls
         * before they are made; none unless set. It needs {@linkplain #checkpoints a saver}, of the agent or of the graph
         * that it is a part of.
         */
        public Builder interruptBefore(String... nodes) {
            this.saving = saving.withInterruptBefore(nodes);
            return this;
        }

        /** Sets what runs the tools; Spring AI's default manager unless set. */
        public Builder toolCallingManager(ToolCallingManager value) {
            this.toolCallingManager = value;
            return this;
        }

        /**
         * The agent.
         *
         * @throws NullPointerException if there is no model
         */
        public ReactAgent build() {
            return new ReactAgent(this, Objects.requireNonNull(model, "model"));
        }
    }
}
