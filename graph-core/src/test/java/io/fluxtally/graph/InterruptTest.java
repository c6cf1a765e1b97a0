package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.InMemoryCheckpointSaver;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.TokenUsage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import reactor.core.publisher.Flux;
import reactor.core.scheduler.Schedulers;

@DisplayName("a run that is interrupted")
@Timeout(60)
class InterruptTest {

    private static final String VISITED = "visited";

    private final CheckpointSaver saver = new InMemoryCheckpointSaver();
    private final CompileConfig saved = CompileConfig.DEFAULT.withCheckpoints(saver);

    /** What ran, over all parts of a run, in whatever order it ran. */
    private final List<String> ran = Collections.synchronizedList(new ArrayList<>());

    /** A node that says that it ran, and which state it saw. */
    private NodeAction visit(String name) {
        return (state, run) -> {
            ran.add(name);
            return NodeResult.update(
                    VISITED,
                    name
                            + state.value("feedback")
                                    .map(value -> "(" + value + ")")
                                    .orElse(""));
        };
    }

    private StateGraph graph(String... nodes) {
        StateGraph graph = new StateGraph("graph").keyStrategy(VISITED, KeyStrategy.APPEND);
        for (String node : nodes) {
            graph.addNode(node, visit(node));
        }
        return graph;
    }

    private static List<String> visited(NodeOutput output) {
        return output.state().list(VISITED);
    }

    /** Where the run waits, such as {@code BEFORE sub/node}. */
    private static List<String> interrupts(NodeOutput output) {
        assertThat(output).isInstanceOf(InterruptedOutput.class);
        assertThat(output.isEnd()).isFalse();
        return ((InterruptedOutput) output)
                .interrupts().stream().map(InterruptTest::text).toList();
    }

    private static String text(Interrupt interrupt) {
        return interrupt.when() + " "
                + String.join(
                        "/",
                        Stream.concat(interrupt.path().stream(), Stream.of(interrupt.node()))
                                .toList());
    }

    private static NodeOutput last(Flux<NodeOutput> outputs) {
        return outputs.blockLast();
    }

    @Test
    @DisplayName("before a node waits there, and goes on with the node, once, and with what a person said")
    void beforeNode() {
        CompiledGraph graph = edges(graph("a", "b", "c"), "start > a", "a > b", "b > c", "c > end")
                .compile(saved.withInterruptBefore("b"));
        GraphThread thread = graph.thread("t");

        NodeOutput waiting = last(thread.stream(Map.of()));

        assertThat(interrupts(waiting)).containsExactly("BEFORE b");
        assertThat(waiting.node()).isEqualTo("b");
        assertThat(((InterruptedOutput) waiting).threadId()).isEqualTo("t");
        assertThat(visited(waiting)).containsExactly("a");

        NodeOutput end = last(thread.resumeStream(Map.of("feedback", "yes")));

        assertThat(end.isEnd()).isTrue();
        assertThat(visited(end)).containsExactly("a", "b(yes)", "c(yes)");
        assertThat(ran).containsExactly("a", "b", "c");
    }

    @Test
    @DisplayName("after a node has what it wrote, and what a person said decides where it goes on")
    void afterNode() {
        CompiledGraph graph = graph("a", "b", "c")
                .addEdge(StateGraph.START, "a")
                .addConditionalEdges(
                        "a", state -> state.value("feedback", String.class).orElse("none"), Map.of("b", "b", "c", "c"))
                .addEdge("b", StateGraph.END)
                .addEdge("c", StateGraph.END)
                .compile(saved.withInterruptAfter("a"));

        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));

        assertThat(interrupts(waiting)).containsExactly("AFTER a");
        assertThat(visited(waiting)).containsExactly("a");
        assertThat(visited(
                        graph.thread("t").resumeInvoke(Map.of("feedback", "c")).block()))
                .containsExactly("a", "c(c)");
    }

    @Test
    @DisplayName("in a loop waits each time that it comes there")
    void inLoop() {
        CompiledGraph graph = graph("a")
                .addEdge(StateGraph.START, "a")
                .addConditionalEdges(
                        "a",
                        state -> state.list(VISITED).size() < 3 ? "on" : "end",
                        Map.of("on", "a", "end", StateGraph.END))
                .compile(saved.withInterruptBefore("a").withInterruptAfter("a"));
        List<String> waits = new ArrayList<>();

        NodeOutput output = last(graph.thread("t").stream(Map.of()));
        while (!output.isEnd()) {
            waits.addAll(interrupts(output));
            output = last(graph.thread("t").resumeStream(Map.of()));
        }

        assertThat(waits).containsExactly("BEFORE a", "AFTER a", "BEFORE a", "AFTER a", "BEFORE a", "AFTER a");
        assertThat(visited(output)).containsExactly("a", "a", "a");
    }

    @Test
    @DisplayName("in one branch lets the others come to the join, and none of them runs twice")
    void inBranch() {
        CompiledGraph graph = edges(
                        graph("fork", "a", "a2", "b", "b2", "join"),
                        "start > fork",
                        "fork > a b",
                        "a > a2",
                        "b > b2",
                        "a2 > join",
                        "b2 > join",
                        "join > end")
                .compile(saved.withInterruptBefore("a2"));

        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));

        assertThat(interrupts(waiting)).containsExactly("BEFORE a2");
        assertThat(ran).containsExactlyInAnyOrder("fork", "a", "b", "b2");

        NodeOutput end = last(graph.thread("t").resumeStream(Map.of("feedback", "yes")));

        assertThat(visited(end)).containsExactly("fork", "a", "a2(yes)", "b", "b2", "join(yes)");
        assertThat(ran).containsExactlyInAnyOrder("fork", "a", "b", "b2", "a2", "join");
    }

    @Test
    @DisplayName("in several branches at once says so once, and what a person said is no conflict between them")
    void inSeveralBranches() {
        CompiledGraph graph = edges(
                        graph("fork", "a", "b", "c", "join"),
                        "start > fork",
                        "fork > a b c",
                        "a > join",
                        "b > join",
                        "c > join",
                        "join > end")
                .compile(saved.withInterruptBefore("a", "join").withInterruptAfter("b"));

        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));
        assertThat(interrupts(waiting)).containsExactly("BEFORE a", "AFTER b");

        NodeOutput atJoin = last(graph.thread("t").resumeStream(Map.of("feedback", "yes")));
        assertThat(interrupts(atJoin)).containsExactly("BEFORE join");
        assertThat(visited(atJoin)).containsExactly("fork", "a(yes)", "b", "c");

        NodeOutput end = last(graph.thread("t").resumeStream(Map.of("feedback", "no")));
        assertThat(visited(end)).containsExactly("fork", "a(yes)", "b", "c", "join(no)");
    }

    @Test
    @DisplayName("in a sub-graph that shares the state waits inside of its node, which is done when it is resumed")
    void inSharedSubGraph() {
        CompiledGraph inner = edges(graph("x", "y"), "start > x", "x > y", "y > end")
                .compile(CompileConfig.DEFAULT.withInterruptBefore("y"));
        CompiledGraph graph = edges(
                        graph("a", "c").addNode("sub", inner.asNode()), "start > a", "a > sub", "sub > c", "c > end")
                .compile(saved);

        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));
        assertThat(interrupts(waiting)).containsExactly("BEFORE sub/y");

        List<NodeOutput> outputs = graph.thread("t")
                .resumeStream(Map.of("feedback", "yes"))
                .collectList()
                .block();
        assertThat(outputs)
                .extracting(output -> String.join("/", output.path()) + ":" + output.node())
                .containsExactly("sub:y", ":sub", ":c", ":__END__");
        assertThat(visited(outputs.get(3))).containsExactly("a", "x", "y(yes)", "c(yes)");
        assertThat(ran).containsExactly("a", "x", "y", "c");
    }

    @Test
    @DisplayName("in a sub-graph with a state of its own hears a person there, and not around it")
    void inOwnSubGraph() {
        CompiledGraph inner = edges(graph("x", "y"), "start > x", "x > y", "y > end")
                .compile(CompileConfig.DEFAULT.withInterruptBefore("y"));
        CompiledGraph graph = edges(
                        graph("a", "c")
                                .addNode(
                                        "sub",
                                        inner.asNode(
                                                state -> Map.of(VISITED, "in"),
                                                state -> Map.of("inside", state.list(VISITED)))),
                        "start > a",
                        "a > sub",
                        "sub > c",
                        "c > end")
                .compile(saved);

        assertThat(interrupts(last(graph.thread("t").stream(Map.of())))).containsExactly("BEFORE sub/y");
        Interrupt waits = graph.thread("t").last().block().interrupts().get(0);
        assertThat(waits.state().list(VISITED))
                .as("what the person has to decide on")
                .isEqualTo(List.of("in", "x"));

        NodeOutput end = last(graph.thread("t").resumeStream(Map.of("feedback", "yes")));

        assertThat(end.state().list("inside")).isEqualTo(List.of("in", "x", "y(yes)"));
        assertThat(visited(end)).containsExactly("a", "c");
        assertThat(end.state().value("feedback")).isEmpty();
    }

    private static StateGraph hearing() {
        return edges(
                new StateGraph("hearing")
                        .keyStrategy("feedback", KeyStrategy.APPEND)
                        .addNode("y", (state, run) -> NodeResult.update("heard", List.copyOf(state.list("feedback")))),
                "start > y",
                "y > end");
    }

    /** The end of a run whose process died when it had been resumed, and that is resumed again. */
    private NodeOutput resumedTwice(NodeAction subGraph) {
        CompiledGraph graph = edges(
                        new StateGraph("outer")
                                .keyStrategy("feedback", KeyStrategy.APPEND)
                                .addNode("sub", subGraph),
                        "start > sub",
                        "sub > end")
                .compile(saved);
        last(graph.thread("t").stream(Map.of()));
        long waiting = graph.thread("t").last().block().number();
        last(graph.thread("t").resumeStream(Map.of("feedback", "first")));
        GraphThread died = graph.thread("t").fork(waiting + 1, "died").block();
        return last(died.resumeStream(Map.of("feedback", "second")));
    }

    @Test
    @DisplayName("keeps what a person said if its process dies before it has used it, beside what is said then")
    void feedbackOfBoth() {
        CompiledGraph inner = hearing().compile(CompileConfig.DEFAULT.withInterruptBefore("y"));

        assertThat(resumedTwice(inner.asNode()).state().list("heard")).isEqualTo(List.of("first", "second"));
    }

    @Test
    @DisplayName("keeps what a person said in a state of its own, and takes the rest where the run is")
    void feedbackOfBothInOwnState() {
        CompiledGraph inner = hearing().compile(CompileConfig.DEFAULT.withInterruptBefore("y"));

        NodeOutput end = resumedTwice(inner.asNode(state -> Map.of(), state -> Map.of("inside", state.list("heard"))));

        // The run waits nowhere any more when the second is said, so that is for the graph that was run.
        assertThat(end.state().list("inside")).isEqualTo(List.of("first"));
        assertThat(end.state().list("feedback")).isEqualTo(List.of("second"));
    }

    @Test
    @DisplayName("does not ask a branch again where it goes that had come to the join")
    void finishedBranch() {
        AtomicInteger asked = new AtomicInteger();
        CompiledGraph graph = edges(
                        graph("fork", "a", "b", "join"), "start > fork", "fork > a b", "a > join", "join > end")
                .addConditionalEdges(
                        "b",
                        state -> {
                            asked.incrementAndGet();
                            return "on";
                        },
                        Map.of("on", "join"))
                .compile(saved.withInterruptBefore("a"));

        last(graph.thread("t").stream(Map.of()));
        last(graph.thread("t").resumeStream(Map.of()));

        assertThat(asked).hasValue(1);
    }

    @Test
    @DisplayName("in branches of sub-graphs in branches goes on in each, on many threads, with all usage in its place")
    void deep() {
        StateGraph definition = graph("in", "out");
        for (String branch : List.of("p", "q")) {
            ScriptedModel model = ScriptedModel.of(Turn.says(100, 10, "x"), Turn.says(200, 20, "y"))
                    .over(chunks -> chunks.publishOn(Schedulers.parallel()));
            CompiledGraph inner = edges(
                            new StateGraph("inner")
                                    .keyStrategy("answers", KeyStrategy.APPEND)
                                    .addNode("x", asks(model))
                                    .addNode("y", asks(model)),
                            "start > x",
                            "x > y",
                            "y > end")
                    .compile(CompileConfig.DEFAULT.withInterruptBefore("y"));
            definition.addNode(branch, inner.asNode(state -> Map.of(), state -> Map.of()));
        }
        CompiledGraph graph = edges(definition, "start > in", "in > p q", "p > out", "q > out", "out > end")
                .compile(saved);

        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));
        assertThat(interrupts(waiting)).containsExactly("BEFORE p/y", "BEFORE q/y");
        assertThat(waiting.runUsage().total()).isEqualTo(TokenUsage.of(200, 20));

        List<NodeOutput> outputs =
                graph.thread("t").resumeStream(Map.of()).collectList().block();
        assertThat(outputs.stream().filter(output -> output.node().equals("p")))
                .singleElement()
                .as("the node has used what its sub-graph had used before it was interrupted, too")
                .extracting(NodeOutput::tokenUsage)
                .isEqualTo(TokenUsage.of(300, 30));
        assertThat(outputs.get(outputs.size() - 1).runUsage().total()).isEqualTo(TokenUsage.of(600, 60));
    }

    @Test
    @DisplayName("is found by the id that it is given, where the app has named no thread")
    void withoutThread() {
        CompiledGraph graph = edges(graph("a"), "start > a", "a > end").compile(saved.withInterruptBefore("a"));

        InterruptedOutput waiting = (InterruptedOutput) graph.invoke(Map.of()).block();

        assertThat(graph.thread(waiting.threadId())
                        .resumeInvoke(Map.of())
                        .block()
                        .isEnd())
                .isTrue();
    }

    @Test
    @DisplayName("as an agent shows its tool calls before they are made")
    void agent() {
        Tool tool = Tool.of("weather", input -> "rain");
        ReactAgent agent = ReactAgent.builder("weather agent")
                .model(ScriptedModel.threeRounds("weather"))
                .tools(tool)
                .checkpoints(saver)
                .interruptBefore(ReactAgent.TOOL_NODE)
                .build();

        NodeOutput first = last(agent.thread("t").stream(ReactAgent.asking("Umbrella?")));
        assertThat(interrupts(first)).containsExactly("BEFORE " + ReactAgent.TOOL_NODE);
        assertThat(tool.calls()).isZero();
        assertThat(first.runUsage().total()).isEqualTo(TokenUsage.of(5000, 2000));

        NodeOutput second = last(agent.thread("t").resumeStream(Map.of()));
        assertThat(tool.calls()).isEqualTo(1);
        assertThat(second.runUsage().total()).isEqualTo(TokenUsage.of(13000, 5000));

        NodeOutput end = last(agent.thread("t").resumeStream(Map.of()));
        assertThat(ReactAgent.answer(end)).isEqualTo("Take an umbrella.");
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(19000, 7500));
        assertThat(end.runUsage().byRound()).containsOnlyKeys(1, 2, 3);
    }

    @Test
    @DisplayName("as an agent that is the tool of another is an error, since nothing could resume it")
    void agentAsTool() {
        ReactAgent inner = ReactAgent.builder("inner")
                .model(ScriptedModel.threeRounds("any"))
                .tools(Tool.of("any", input -> ""))
                .checkpoints(saver)
                .interruptBefore(ReactAgent.TOOL_NODE)
                .build();
        ReactAgent outer = ReactAgent.builder("outer")
                .model(ScriptedModel.of(
                        new Turn(
                                List.of(""),
                                List.of(new ToolCall("1", "function", "inner", "{\"question\":\"?\"}")),
                                1,
                                1),
                        Turn.says(1, 1, "x")))
                .tools(inner.asTool("Asks."))
                .build();

        assertThatThrownBy(() -> outer.invoke("?").block())
                .hasMessageContaining("the agent \"inner\" is a tool here, and was interrupted");
    }

    @Test
    @DisplayName("names a node, which is checked, and needs a saver, which is said before anything runs")
    void misconfigured() {
        StateGraph graph = edges(graph("a"), "start > a", "a > end");

        assertThatThrownBy(() -> graph.compile(saved.withInterruptBefore("b")))
                .isInstanceOf(GraphDefinitionException.class)
                .hasMessage("graph \"graph\": interruptBefore names \"b\", which is no node");
        assertThatThrownBy(() -> graph.compile(saved.withInterruptAfter("b", "a")))
                .hasMessage("graph \"graph\": interruptAfter names \"b\", which is no node");
        CompiledGraph unsaved = graph.compile(CompileConfig.DEFAULT.withInterruptBefore("a"));
        assertThatThrownBy(() -> unsaved.stream(Map.of()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage(
                        "graph \"graph\": its runs are not saved, so they can be neither interrupted nor resumed: compile it with a CheckpointSaver");
        CompiledGraph outer = edges(
                        new StateGraph("outer").addNode("sub", unsaved.asNode()), "start > sub", "sub > end")
                .keyStrategy(VISITED, KeyStrategy.APPEND)
                .compile();
        assertThatThrownBy(() -> outer.invoke(Map.of()).block())
                .isInstanceOf(GraphRunException.class)
                .hasMessageContaining(
                        "it is interrupted before node \"a\", but nothing saves the run that it is a part of");
        assertThat(ran).isEmpty();
    }
}
