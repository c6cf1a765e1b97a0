package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.ANSWERS;
import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static io.fluxtally.graph.scripted.Graphs.pair;
import static io.fluxtally.graph.scripted.Graphs.single;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.fluxtally.graph.agent.ReactAgent;
import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.Checkpoint.Status;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.InMemoryCheckpointSaver;
import io.fluxtally.graph.checkpoint.StateSerializer;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Tool;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.messages.AssistantMessage.ToolCall;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage.ToolResponse;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;
import reactor.util.retry.Retry;

@DisplayName("a run that is torn")
@Timeout(60)
class TornRunsTest {

    private static final TokenUsage FIRST = TokenUsage.of(100, 10);

    private final CheckpointSaver saver = new InMemoryCheckpointSaver();
    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final CompileConfig saved =
            CompileConfig.DEFAULT.withCheckpoints(saver).withRecorder(recorder);
    private final ScriptedModel model = ScriptedModel.of(Turn.says(100, 10, "one"), Turn.says(200, 20, "two"));

    /** A saver with something in front of its saving and its last checkpoint. */
    private record Hooked(
            CheckpointSaver saver,
            Function<Checkpoint, Mono<Void>> beforeSaving,
            Function<Checkpoint, Mono<Checkpoint>> reading)
            implements CheckpointSaver {

        @Override
        public Mono<Void> save(Checkpoint checkpoint) {
            return Mono.defer(() -> beforeSaving.apply(checkpoint)).then(Mono.defer(() -> saver.save(checkpoint)));
        }

        @Override
        public Mono<Checkpoint> last(String threadId) {
            return saver.last(threadId).flatMap(reading);
        }

        @Override
        public Mono<Checkpoint> load(String threadId, long number) {
            return saver.load(threadId, number);
        }

        @Override
        public Flux<Checkpoint> history(String threadId) {
            return saver.history(threadId);
        }

        @Override
        public Mono<Void> delete(String threadId) {
            return saver.delete(threadId);
        }
    }

    private CheckpointSaver slow(Mono<Void> beforeSaving) {
        return new Hooked(
                saver, checkpoint -> checkpoint.status() == Status.RUNNING ? beforeSaving : Mono.empty(), Mono::just);
    }

    private static void await(CountDownLatch latch) {
        while (latch.getCount() > 0) {
            Thread.onSpinWait();
        }
    }

    private StateSnapshot stored(CompiledGraph graph) {
        return graph.thread("t").last().block();
    }

    @Test
    @DisplayName("T10: before a node that says its own usage counts that once")
    void ownUsageOfASubGraphsNode() {
        CompiledGraph sub = single((state, run) -> NodeResult.blocking(() -> {
                    run.capture(model).call(new Prompt("?"));
                    return Map.of();
                }))
                .compile(CompileConfig.DEFAULT.withInterruptAfter("node").withRecorder(recorder));
        CompiledGraph graph = single(sub.asNode(
                        state -> Map.of(), state -> Map.of(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(100, 10))))
                .compile(saved);
        graph.thread("t").invoke(Map.of()).block();

        assertThat(graph.thread("t").resumeInvoke(Map.of()).block().runUsage().total())
                .as("what the node says is what was captured")
                .isEqualTo(FIRST);
    }

    @Test
    @DisplayName("by a timeout counts what the next attempt says beside what the one before still asks for")
    void lateRequestOfAnExpiredAttempt() {
        CountDownLatch fallbackBegun = new CountDownLatch(1);
        CountDownLatch asked = new CountDownLatch(1);
        NodeAction late = (state, run) -> NodeResult.blocking(() -> {
            await(fallbackBegun);
            run.capture(model).call(new Prompt("?"));
            asked.countDown();
            return Map.of();
        });
        NodeAction fallback = (state, run) -> {
            fallbackBegun.countDown();
            await(asked);
            return NodeResult.update(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(7, 3));
        };
        // Only the first attempt's time is over: an update is there at once.
        CompiledGraph graph = new StateGraph("late")
                .addNode(
                        "node",
                        late,
                        NodeConfig.DEFAULT.withTimeout(Duration.ofMillis(50)).withFallback(fallback))
                .addEdge(StateGraph.START, "node")
                .addEdge("node", StateGraph.END)
                .compile(CompileConfig.DEFAULT.withRecorder(recorder));

        NodeOutput end = graph.invoke(Map.of()).onErrorComplete().block();

        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(107, 13));
        if (end != null) {
            assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(107, 13));
        }
    }

    @Test
    @DisplayName("in its first saving takes no thread that is taken")
    void cancelledStart() {
        CompiledGraph graph = pair(asks(model), asks(model)).compile(saved.withInterruptBefore("second"));
        graph.thread("t").invoke(Map.of()).block();
        Checkpoint waiting = saver.last("t").block();
        CompiledGraph other = pair(asks(model), asks(model)).compile(saved.withCheckpoints(slow(Mono.never())));

        other.thread("t").stream(Map.of()).subscribe().dispose();

        assertThat(saver.last("t").block()).isEqualTo(waiting);
    }

    @Test
    @DisplayName("while it is resumed does not touch the one that has resumed it first")
    void cancelledResume() {
        Sinks.One<Boolean> goOn = Sinks.one();
        NodeAction second = (state, run) -> NodeResult.deferred(
                goOn.asMono().thenReturn(Map.of(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(100, 10))));
        CompiledGraph graph = pair(asks(model), second).compile(saved.withInterruptBefore("second"));
        graph.thread("t").invoke(Map.of()).block();
        Checkpoint waiting = saver.last("t").block();
        Sinks.One<NodeOutput> end = Sinks.one();
        graph.thread("t").resumeInvoke(Map.of()).subscribe(end::tryEmitValue, end::tryEmitError);

        CheckpointSaver behind = new Hooked(saver, checkpoint -> Mono.never(), last -> Mono.just(waiting));
        CompiledGraph other = pair(asks(model), second).compile(saved.withCheckpoints(behind));
        other.thread("t").resumeStream(Map.of()).subscribe().dispose();
        goOn.tryEmitValue(true);

        assertThat(end.asMono().block().runUsage().total()).isEqualTo(TokenUsage.of(200, 20));
    }

    @Test
    @DisplayName("and fails is not resumed by another that had read it before")
    void resumedAndFailed() {
        AtomicInteger runs = new AtomicInteger();
        NodeAction second = (state, run) -> {
            runs.incrementAndGet();
            throw new IllegalStateException("broken");
        };
        CompiledGraph graph = pair(asks(model), second).compile(saved.withInterruptBefore("second"));
        graph.thread("t").invoke(Map.of()).block();
        Map<String, ?> feedback = Map.of(ANSWERS, new UserMessage("ok"));
        CheckpointSaver behind = new Hooked(
                saver,
                checkpoint -> Mono.empty(),
                last -> runs.get() > 0
                        ? Mono.just(last)
                        : graph.thread("t")
                                .resumeInvoke(feedback)
                                .onErrorComplete()
                                .thenReturn(last));
        CompiledGraph late = pair(asks(model), second)
                .compile(saved.withInterruptBefore("second").withCheckpoints(behind));

        assertThatThrownBy(() -> late.thread("t").resumeInvoke(feedback).block())
                .isInstanceOf(CheckpointException.class);

        assertThat(runs).hasValue(1);
        assertThat(stored(graph).state().list(ANSWERS))
                .as("an answer, and feedback")
                .hasSize(2);
    }

    /** A graph of a node that asks, in a sub-graph of two nodes. */
    private CompiledGraph nested(NodeAction inside, NodeConfig config, CheckpointSaver with) {
        CompiledGraph sub = edges(
                        new StateGraph("sub").addNode("s1", inside).addNode("s2", (state, run) -> NodeResult.none()),
                        "start > s1",
                        "s1 > s2",
                        "s2 > end")
                .compile(CompileConfig.DEFAULT.withRecorder(recorder));
        return edges(new StateGraph("outer").addNode("sub", sub.asNode(), config), "start > sub", "sub > end")
                .compile(saved.withCheckpoints(with));
    }

    @Test
    @DisplayName("by another process, which took it up, is not tried again")
    void takenUpElsewhere() {
        AtomicInteger runs = new AtomicInteger();
        NodeAction inside = (state, run) -> {
            runs.incrementAndGet();
            Checkpoint last = saver.last("t").block();
            saver.save(new Checkpoint("t", last.number() + 1, Status.RUNNING, Instant.EPOCH, last.document()))
                    .block();
            return NodeResult.none();
        };
        CompiledGraph graph = nested(inside, NodeConfig.DEFAULT.withRetry(Retry.max(1)), saver);

        assertThatThrownBy(() -> graph.thread("t").invoke(Map.of()).block())
                .isInstanceOf(GraphRunException.class)
                .hasStackTraceContaining("is not the next one of thread");
        assertThat(runs).hasValue(1);
    }

    @Test
    @DisplayName("by its saver has no node replaced")
    void saverThatFails() {
        AtomicBoolean replaced = new AtomicBoolean();
        CheckpointSaver failing = new Hooked(
                saver,
                checkpoint ->
                        checkpoint.number() == 2 ? Mono.error(new IllegalStateException("disk is full")) : Mono.empty(),
                Mono::just);
        NodeConfig withFallback = NodeConfig.DEFAULT.withFallback((state, run) -> {
            replaced.set(true);
            return NodeResult.none();
        });
        CompiledGraph graph = nested((state, run) -> NodeResult.none(), withFallback, failing);

        assertThatThrownBy(() -> graph.thread("t").invoke(Map.of()).block())
                .isInstanceOf(GraphRunException.class)
                .hasStackTraceContaining("disk is full");
        assertThat(replaced).isFalse();
    }

    @Test
    @DisplayName("does not come back when its thread was deleted")
    void deleted() throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        AtomicInteger tried = new AtomicInteger();
        CompiledGraph graph = single((state, run) -> NodeResult.blocking(() -> {
                    begun.countDown();
                    await(goOn);
                    return Map.of();
                }))
                .compile(saved.withCheckpoints(
                        new Hooked(saver, checkpoint -> Mono.fromRunnable(tried::incrementAndGet), Mono::just)));
        Disposable run = graph.thread("t").stream(Map.of("prompt", "secret")).subscribe();
        begun.await();
        run.dispose();
        graph.thread("t").delete().block();
        int before = tried.get();

        goOn.countDown();
        while (tried.get() == before && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }

        assertThat(graph.thread("t").last().block()).isNull();
    }

    @Test
    @DisplayName("while tools run at once says that they may still ask")
    void parallelTools() throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        Tool slow = Tool.of("slow", input -> {
            begun.countDown();
            await(goOn);
            UsageChatModel.of(model, recorder).call(new Prompt("?"));
            return "";
        });
        ReactAgent agent = ReactAgent.builder("agent")
                .model(ScriptedModel.of(Turn.asks(1, 1, "slow", "fast"), Turn.says(1, 1, "x")))
                .tools(slow, Tool.of("fast", input -> ""))
                .parallelTools(2)
                .checkpoints(saver)
                .recorder(recorder)
                .build();

        Disposable run = agent.thread("t").stream(ReactAgent.asking("?")).subscribe();
        begun.await();
        run.dispose();
        assertThat(agent.thread("t").last().block().usage().isComplete()).isFalse();

        goOn.countDown();
        while (!agent.thread("t").last().block().usage().isComplete()
                && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }
        assertThat(agent.thread("t").last().block().usage().total()).isEqualTo(TokenUsage.of(101, 11));
    }

    @Test
    @DisplayName("while an action works says that it may still ask, and counts what it then does")
    void actionThatIsGivenUp() {
        CountDownLatch goOn = new CountDownLatch(1);
        CompiledGraph graph = edges(
                        new StateGraph("given up")
                                .addNode(
                                        "node",
                                        (state, run) -> {
                                            await(goOn);
                                            run.capture(model).call(new Prompt("?"));
                                            return NodeResult.none();
                                        },
                                        NodeConfig.DEFAULT
                                                .withScheduler(Schedulers.boundedElastic())
                                                .withTimeout(Duration.ofMillis(30))),
                        "start > node",
                        "node > end")
                .compile(saved);

        assertThatThrownBy(() -> graph.thread("t").invoke(Map.of()).block())
                .isInstanceOfSatisfying(
                        GraphRunException.class,
                        error -> assertThat(error.usage().isComplete()).isFalse());
        goOn.countDown();
        while (!stored(graph).usage().isComplete() && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }
        assertThat(stored(graph).usage().total()).isEqualTo(FIRST);
    }

    @Test
    @DisplayName("while blocking work goes on counts what that says when its time is over")
    void blockingWorkThatIsGivenUp() {
        CountDownLatch goOn = new CountDownLatch(1);
        CompiledGraph graph = edges(
                        new StateGraph("given up")
                                .addNode(
                                        "node",
                                        (state, run) -> NodeResult.blocking(() -> {
                                            await(goOn);
                                            return Map.of(GraphRunnerContext.TOKEN_USAGE, new DefaultUsage(100, 10));
                                        }),
                                        NodeConfig.DEFAULT.withTimeout(Duration.ofMillis(30))),
                        "start > node",
                        "node > end")
                .compile(saved);

        assertThatThrownBy(() -> graph.thread("t").invoke(Map.of()).block()).isInstanceOf(GraphRunException.class);
        assertThat(stored(graph).usage().isComplete()).isFalse();
        goOn.countDown();
        while (!stored(graph).usage().isComplete() && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }
        assertThat(stored(graph).usage().total()).isEqualTo(FIRST);
    }

    @Test
    @DisplayName("leaves the tallies around it settled, whatever hears of it")
    void settled() {
        RunTally outer = new RunTally();
        RunTally part = outer.branch();
        part.begun();
        part.whenSettled(() -> {
            throw new IllegalStateException("saver");
        });

        assertThatThrownBy(part::ended).hasMessage("saver");

        assertThat(outer.usage()).isEqualTo(RunUsage.EMPTY);
        assertThat(outer.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("in a fallback goes on with the fallback, and with what the person said")
    void interruptedFallback() {
        List<String> log = new CopyOnWriteArrayList<>();
        CompiledGraph person = edges(
                        new StateGraph("person").addNode("use", (state, run) -> {
                            log.add("used " + state.value("approval").orElse(null));
                            return NodeResult.none();
                        }),
                        "start > use",
                        "use > end")
                .compile(CompileConfig.DEFAULT.withInterruptBefore("use"));
        NodeAction primary = (state, run) -> {
            log.add("primary");
            if (log.size() == 1) {
                throw new IllegalStateException("down");
            }
            return NodeResult.none();
        };
        CompiledGraph graph = edges(
                        new StateGraph("outer")
                                .addNode(
                                        "node",
                                        primary,
                                        NodeConfig.DEFAULT.withFallback(
                                                person.asNode(state -> Map.of(), state -> Map.of()))),
                        "start > node",
                        "node > end")
                .compile(saved);
        assertThat(graph.thread("t").invoke(Map.of()).block()).isInstanceOf(InterruptedOutput.class);

        graph.thread("t").resumeInvoke(Map.of("approval", "yes")).block();

        assertThat(log).containsExactly("primary", "used yes");
    }

    @Test
    @DisplayName("can be read again, however long a text in its state is")
    void longText() {
        CompiledGraph graph = pair(
                        (state, run) -> NodeResult.update("image", "x".repeat(20_000_001)),
                        (state, run) -> NodeResult.none())
                .compile(saved.withInterruptBefore("second"));
        graph.thread("t").invoke(Map.of()).block();

        assertThat(graph.thread("t").resumeInvoke(Map.of()).block().isEnd()).isTrue();
    }

    /** What a later version of the app reads where an earlier one wrote something else. */
    record Order(int count) {}

    @Test
    @DisplayName("and cannot be read says so without a value of its state")
    void unreadable() {
        StateSerializer writes = StateSerializer.DEFAULT.with(
                "order",
                String[].class,
                value -> JsonNodeFactory.instance.objectNode().put("count", value[0]),
                json -> new String[0]);
        NodeAction second = (state, run) -> NodeResult.none();
        pair((state, run) -> NodeResult.update("order", new String[] {"a secret"}), second)
                .compile(saved.withSerializer(writes).withInterruptBefore("second"))
                .thread("t")
                .invoke(Map.of())
                .block();
        CompiledGraph later =
                pair(second, second).compile(saved.withSerializer(StateSerializer.DEFAULT.with("order", Order.class)));

        assertThatThrownBy(() -> later.thread("t").resumeInvoke(Map.of()).block())
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("a value of the type \"order\" cannot be read")
                .satisfies(error -> assertThat(error).hasStackTraceContaining("cannot be read"))
                .satisfies(error -> assertThat(String.valueOf(error.getCause())).doesNotContain("secret"));
    }

    @Test
    @DisplayName("by a timeout goes on where it may block")
    void afterTimeout() {
        AtomicReference<Boolean> mayNotBlock = new AtomicReference<>();
        CompiledGraph graph = edges(
                        new StateGraph("late")
                                .addNode(
                                        "node",
                                        (state, run) -> NodeResult.deferred(Mono.never()),
                                        NodeConfig.DEFAULT
                                                .withTimeout(Duration.ofMillis(20))
                                                .withFallback((state, run) -> {
                                                    mayNotBlock.set(Schedulers.isInNonBlockingThread());
                                                    return NodeResult.none();
                                                })),
                        "start > node",
                        "node > end")
                .compile();

        graph.invoke(Map.of()).block();

        assertThat(mayNotBlock).hasValue(false);
    }

    @Test
    @DisplayName("in branches that the graph does not have any more cannot be resumed")
    void branchesThatAreNoMore() {
        NodeAction nothing = (state, run) -> NodeResult.none();
        StateGraph branches =
                new StateGraph("g").addNode("a", nothing).addNode("b", nothing).addNode("c", nothing);
        edges(branches, "start > a", "a > b c", "b > end", "c > end")
                .compile(saved.withInterruptBefore("b"))
                .thread("t")
                .invoke(Map.of())
                .block();
        StateGraph line =
                new StateGraph("g").addNode("a", nothing).addNode("b", nothing).addNode("c", nothing);
        CompiledGraph after =
                edges(line, "start > a", "a > b", "b > c", "c > end").compile(saved);

        assertThatThrownBy(() -> after.thread("t").resumeInvoke(Map.of()).block())
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"g\": the run was saved in branches of node \"a\", which has none now");
    }

    @Test
    @DisplayName("before its tools goes on without them if a person has answered in their place")
    void refused() {
        Tool tool = Tool.of("weather", input -> "rain");
        ScriptedModel asked = ScriptedModel.of(Turn.asks(1, 1, "weather"), Turn.says(1, 1, "As you like."));
        ReactAgent agent = ReactAgent.builder("agent")
                .model(asked)
                .tools(tool)
                .checkpoints(saver)
                .interruptBefore(ReactAgent.TOOL_NODE)
                .build();
        InterruptedOutput waiting = (InterruptedOutput)
                agent.thread("t").invoke(ReactAgent.asking("?")).block();
        assertThat(waiting.interrupts().get(0).state().list(ReactAgent.MESSAGES))
                .hasSize(2);

        ToolCall call = Turn.asks(1, 1, "weather").toolCalls().get(0);
        NodeOutput end = agent.thread("t")
                .resumeInvoke(Map.of(
                        ReactAgent.MESSAGES,
                        ToolResponseMessage.builder()
                                .responses(List.of(new ToolResponse(call.id(), call.name(), "refused")))
                                .build()))
                .block();

        assertThat(ReactAgent.answer(end)).isEqualTo("As you like.");
        assertThat(tool.calls()).isZero();
    }
}
