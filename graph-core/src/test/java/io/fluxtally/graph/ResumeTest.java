package io.fluxtally.graph;

import static io.fluxtally.graph.scripted.Graphs.ANSWERS;
import static io.fluxtally.graph.scripted.Graphs.asks;
import static io.fluxtally.graph.scripted.Graphs.edges;
import static io.fluxtally.graph.scripted.Graphs.pair;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.Checkpoint.Status;
import io.fluxtally.graph.checkpoint.CheckpointConflictException;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.InMemoryCheckpointSaver;
import io.fluxtally.graph.checkpoint.StateSerializer;
import io.fluxtally.graph.scripted.ScriptedModel;
import io.fluxtally.graph.scripted.Turn;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageLimitExceededException;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

@DisplayName("a run that is resumed")
@Timeout(60)
class ResumeTest {

    private static final TokenUsage FIRST = TokenUsage.of(100, 10);
    private static final TokenUsage BOTH = TokenUsage.of(300, 30);

    private final CheckpointSaver saver = new InMemoryCheckpointSaver();
    private final UsageRecorder recorder = UsageRecorder.withSinks();
    private final CompileConfig saved =
            CompileConfig.DEFAULT.withCheckpoints(saver).withRecorder(recorder);

    private final ScriptedModel model = ScriptedModel.of(Turn.says(100, 10, "one"), Turn.says(200, 20, "two"));

    /** Two nodes that ask, of which the second waits to be let. */
    private CompiledGraph waiting() {
        return pair(asks(model), asks(model)).compile(saved.withInterruptBefore("second"));
    }

    /** Two nodes that ask, of which the second fails for as long as it is told to, once it has asked. */
    private CompiledGraph failing(AtomicBoolean fails) {
        NodeAction asks = asks(model);
        return pair(asks, (state, run) -> {
                    if (!fails.get()) {
                        return asks.apply(state, run);
                    }
                    return NodeResult.chunks(
                            run.capture(model).stream(new Prompt(state.<Message>list(ANSWERS)))
                                    .concatWith(Mono.error(new IllegalStateException("broken"))),
                            Ignoring::new);
                })
                .compile(saved);
    }

    private record Ignoring() implements ChunkJoiner<ChatResponse> {

        @Override
        public String add(ChatResponse chunk) {
            return "";
        }

        @Override
        public Map<String, ?> update() {
            return Map.of();
        }
    }

    private static NodeOutput last(Flux<NodeOutput> outputs) {
        return outputs.blockLast();
    }

    @Test
    @DisplayName("T10: goes on with its total, and what it had used is booked once")
    void totalGoesOn() {
        GraphThread thread = waiting().thread("t");
        String runId =
                last(thread.stream(Map.of())).runUsage().requests().get(0).runId();

        NodeOutput end = last(thread.resumeStream(Map.of()));

        assertThat(end.runUsage().total()).isEqualTo(BOTH);
        assertThat(end.runUsage().isComplete()).isTrue();
        assertThat(end.runUsage().requests())
                .hasSize(2)
                .extracting(RequestUsage::runId)
                .as("a resumed run is the same run")
                .containsOnly(runId);
        assertThat(end.runUsage().byNode()).containsOnlyKeys("first", "second");
        assertThat(recorder.processSum().total()).isEqualTo(BOTH);
        assertThat(thread.last().block().usage()).isEqualTo(end.runUsage());
    }

    @Test
    @DisplayName(
            "T10: from the same checkpoint again, in threads of their own, has that usage once in each total, and of the others nothing")
    void forks() {
        CompiledGraph graph = waiting();
        NodeOutput waiting = last(graph.thread("t").stream(Map.of()));
        long number = graph.thread("t").last().block().number();

        for (String fork : List.of("left", "right")) {
            GraphThread thread = graph.thread("t").fork(number, fork).block();
            assertThat(thread.last().block().status()).isEqualTo(Status.FORKED);
            assertThat(last(thread.resumeStream(Map.of())).runUsage().total()).isEqualTo(BOTH);
        }

        assertThat(graph.thread("t").last().block().usage()).isEqualTo(waiting.runUsage());
        assertThat(last(graph.thread("t").resumeStream(Map.of())).runUsage().total())
                .isEqualTo(BOTH);
        assertThat(recorder.processSum().total())
                .as("the first node ran once, the second three times")
                .isEqualTo(TokenUsage.of(700, 70));
    }

    @Test
    @DisplayName("T10: after an error runs again what failed, which is billed again and in the total again")
    void afterError() {
        AtomicBoolean fails = new AtomicBoolean(true);
        GraphThread thread = failing(fails).thread("t");

        assertThatThrownBy(() -> last(thread.stream(Map.of()))).isInstanceOf(NodeFailedException.class);
        StateSnapshot failed = thread.last().block();
        assertThat(failed.status()).isEqualTo(Status.FAILED);
        assertThat(failed.usage().total()).as("with what the failed node used").isEqualTo(BOTH);
        assertThat(failed.state().list(ANSWERS)).hasSize(1);

        assertThatThrownBy(() -> last(thread.resumeStream(Map.of()))).isInstanceOf(NodeFailedException.class);
        fails.set(false);
        NodeOutput end = last(thread.resumeStream(Map.of()));

        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(700, 70));
        assertThat(end.runUsage().requests()).hasSize(4);
        assertThat(end.state().list(ANSWERS)).hasSize(2);
        assertThat(recorder.processSum().total()).isEqualTo(TokenUsage.of(700, 70));
    }

    @Test
    @DisplayName("after a cancellation runs again what was cut off, and the total has both, graded")
    void afterCancel() {
        ScriptedModel slow = ScriptedModel.of(Turn.says(100, 10, "one"), Turn.says(200, 20, "tw", "o"));
        AtomicBoolean hangs = new AtomicBoolean(true);
        ScriptedModel hanging = slow.over(chunks -> hangs.get() ? chunks.take(1).concatWith(Flux.never()) : chunks);
        GraphThread thread = pair(asks(model), asks(hanging)).compile(saved).thread("t");

        thread.stream(Map.of())
                .takeUntil(output -> output.node().equals("second"))
                .blockLast();
        assertThat(thread.last().block().status()).isEqualTo(Status.CANCELLED);
        hangs.set(false);
        NodeOutput end = last(thread.resumeStream(Map.of()));

        assertThat(end.runUsage().requests()).hasSize(3);
        assertThat(end.runUsage().requests().get(1).source()).isNotEqualTo(UsageSource.REPORTED);
        assertThat(end.runUsage().isComplete()).isFalse();
        assertThat(end.state().list(ANSWERS)).hasSize(2);
    }

    @Test
    @DisplayName("after a cancellation has figures that came when it was over")
    void lateFigures() throws InterruptedException {
        CountDownLatch working = new CountDownLatch(1);
        CountDownLatch left = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(1);
        NodeAction stubborn = (state, run) -> NodeResult.blocking(() -> {
            working.countDown();
            // Work that is not to be stopped, and asks a model although nobody waits for it any more.
            while (left.getCount() > 0) {
                Thread.onSpinWait();
            }
            run.capture(model).call(new Prompt(state.<Message>list(ANSWERS)));
            done.countDown();
            return Map.of();
        });
        GraphThread thread = pair(asks(model), stubborn).compile(saved).thread("t");

        Disposable run = thread.stream(Map.of()).subscribe();
        working.await();
        run.dispose();
        StateSnapshot cancelled = thread.last().block();
        assertThat(cancelled.status()).isEqualTo(Status.CANCELLED);
        assertThat(cancelled.usage().total()).isEqualTo(FIRST);
        assertThat(cancelled.usage().isComplete()).isFalse();

        left.countDown();
        done.await();
        while (thread.last().block().number() == cancelled.number()
                && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }
        StateSnapshot later = thread.last().block();
        assertThat(later.status()).isEqualTo(Status.CANCELLED);
        assertThat(later.usage().total()).isEqualTo(BOTH);
        assertThat(later.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("that figures came late to is resumed all the same, by whoever had read it before")
    void lateFiguresInBetween() {
        GraphThread thread = pair(asks(model), asks(model)).compile(saved).thread("t");
        thread.stream(Map.of())
                .takeUntil(output -> output.node().equals("first"))
                .blockLast();
        Checkpoint cancelled = saver.last("t").block();
        saver.save(new Checkpoint("t", cancelled.number() + 1, Status.CANCELLED, Instant.EPOCH, cancelled.document()))
                .block();
        AtomicInteger reads = new AtomicInteger();
        CheckpointSaver late = new Late(saver, cancelled, reads);

        GraphThread behind = pair(asks(model), asks(model))
                .compile(saved.withCheckpoints(late))
                .thread("t");

        assertThat(last(behind.resumeStream(Map.of())).isEnd()).isTrue();
        assertThat(reads).hasValue(1);
    }

    @Test
    @DisplayName("in a branch has what the branch had used")
    void branchUsage() {
        AtomicReference<RunUsage> part = new AtomicReference<>();
        CompiledGraph graph = edges(
                        new StateGraph("branches")
                                .keyStrategy(ANSWERS, KeyStrategy.APPEND)
                                .addNode("left", asks(model))
                                .addNode("right", asks(model))
                                .addNode("behind", (state, run) -> {
                                    part.set(run.partUsage());
                                    return NodeResult.none();
                                }),
                        "start > left right",
                        "left > behind",
                        "behind > end",
                        "right > end")
                .compile(saved.withInterruptBefore("behind"));
        last(graph.thread("t").stream(Map.of()));

        NodeOutput end = last(graph.thread("t").resumeStream(Map.of()));

        assertThat(part.get().total()).isEqualTo(FIRST);
        assertThat(end.runUsage().total()).isEqualTo(TokenUsage.of(200, 20));
    }

    @Test
    @DisplayName("is not cancelled any more by a subscriber that leaves with the last output")
    void leavingWithTheLastOutput() {
        GraphThread thread = waiting().thread("t");

        thread.stream(Map.of()).takeUntil(InterruptedOutput.class::isInstance).blockLast();
        assertThat(thread.last().block().status()).isEqualTo(Status.INTERRUPTED);

        thread.resumeStream(Map.of()).takeUntil(NodeOutput::isEnd).blockLast();
        assertThat(thread.last().block().status()).isEqualTo(Status.ENDED);
    }

    /** A copy of a thread as it was when it had the given number of checkpoints: what a process that died leaves. */
    private void died(String from, long checkpoints, String to) {
        Flux.range(1, (int) checkpoints)
                .concatMap(number -> saver.load(from, number))
                .concatMap(checkpoint -> saver.save(new Checkpoint(
                        to, checkpoint.number(), checkpoint.status(), checkpoint.savedAt(), checkpoint.document())))
                .blockLast();
    }

    @Test
    @DisplayName(
            "after its process has died has a total that is not complete, since what was requested last is not known")
    void afterDeath() {
        CompiledGraph graph = pair(asks(model), asks(model)).compile(saved);
        last(graph.thread("t").stream(Map.of()));
        died("t", 2, "died");
        assertThat(graph.thread("died").last().block().status()).isEqualTo(Status.RUNNING);

        NodeOutput end = last(graph.thread("died").resumeStream(Map.of()));

        assertThat(end.runUsage().total()).isEqualTo(BOTH);
        assertThat(end.runUsage().requests()).hasSize(2);
        assertThat(end.runUsage().isComplete()).isFalse();
        assertThat(graph.thread("died").last().block().usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("from every one of its checkpoints comes to the same end, with the same answers")
    void fromEveryCheckpoint() {
        CompiledGraph graph = pair(asks(model), asks(model)).compile(saved);
        NodeOutput end = last(graph.thread("t").stream(Map.of()));
        assertThat(graph.thread("t")
                        .history()
                        .map(StateSnapshot::number)
                        .collectList()
                        .block())
                .containsExactly(4L, 3L, 2L, 1L);

        for (long number = 1; number < 4; number++) {
            GraphThread fork = graph.thread("t").fork(number, "fork " + number).block();
            NodeOutput again = last(fork.resumeStream(Map.of()));
            assertThat(again.runUsage().total()).isEqualTo(BOTH);
            assertThat(again.runUsage().isComplete()).isTrue();
            assertThat(again.state().values()).isEqualTo(end.state().values());
        }
    }

    @Test
    @DisplayName("inside another run has its own total, of which the other gets what is used from now on")
    void insideAnotherRun() {
        GraphThread thread = waiting().thread("t");
        last(thread.stream(Map.of()));
        RunScope request = RunScope.start();

        NodeOutput end = last(request.wrap(thread.resumeStream(Map.of())));

        assertThat(end.runUsage().total()).isEqualTo(BOTH);
        assertThat(request.usage().total()).isEqualTo(TokenUsage.of(200, 20));
        assertThat(request.usage().isComplete()).isTrue();
    }

    @Test
    @DisplayName("has the limits of the run, of which a part is used already")
    void limits() {
        GraphThread thread = pair(asks(model), asks(model))
                .compile(saved.withInterruptBefore("second").withLimits(UsageLimits.NONE.withRequests(1L)))
                .thread("t");
        last(thread.stream(Map.of()));

        assertThatThrownBy(() -> last(thread.resumeStream(Map.of())))
                .hasRootCauseInstanceOf(UsageLimitExceededException.class);
        assertThat(model.prompts()).hasSize(1);
    }

    @Test
    @DisplayName("counts node executions on, so that an interrupt does not lift their limit")
    void maxIterations() {
        CompiledGraph graph = pair((state, run) -> NodeResult.none(), (state, run) -> NodeResult.none())
                .compile(saved.withInterruptBefore("second").withMaxIterations(1));
        last(graph.thread("t").stream(Map.of()));

        assertThatThrownBy(() -> last(graph.thread("t").resumeStream(Map.of())))
                .isInstanceOf(MaxIterationsException.class);
    }

    @Test
    @DisplayName("by two at once is resumed by one of them, before anything is requested twice")
    void twice() {
        GraphThread thread = waiting().thread("t");
        last(thread.stream(Map.of()));
        Checkpoint last = saver.last("t").block();
        AtomicInteger conflicts = new AtomicInteger();
        // Both read the thread before either has saved: the saver is one whose last checkpoint is the one from before.
        CheckpointSaver late = new Late(saver, last, new AtomicInteger());
        GraphThread behind = pair(asks(model), asks(model))
                .compile(saved.withInterruptBefore("second").withCheckpoints(late))
                .thread("t");

        last(thread.resumeStream(Map.of()));
        StepVerifier.create(behind.resumeStream(Map.of()))
                .expectErrorSatisfies(error -> {
                    conflicts.incrementAndGet();
                    assertThat(error)
                            .isInstanceOf(CheckpointConflictException.class)
                            .hasMessage(
                                    "checkpoint %d is not the next one of thread \"t\": another run is saved there, or this one was resumed elsewhere, or deleted"
                                            .formatted(last.number() + 1));
                })
                .verify();

        assertThat(conflicts).hasValue(1);
        assertThat(model.prompts()).hasSize(2);
        assertThat(thread.last().block().status()).isEqualTo(Status.ENDED);
    }

    /** A saver that is behind, but no longer than for one reading. */
    private record Late(CheckpointSaver saver, Checkpoint last, AtomicInteger reads) implements CheckpointSaver {

        @Override
        public Mono<Void> save(Checkpoint checkpoint) {
            return saver.save(checkpoint);
        }

        @Override
        public Mono<Checkpoint> last(String threadId) {
            return reads.getAndIncrement() == 0 ? Mono.just(last) : saver.last(threadId);
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

    @Test
    @DisplayName("elsewhere ends here with its next step, with an error that has what was used")
    void resumedElsewhere() {
        CompiledGraph graph = pair(asks(model), (state, run) -> {
                    // Somebody else takes the run for dead, and goes on with it.
                    saver.save(new Checkpoint(
                                    "t",
                                    3,
                                    Status.RUNNING,
                                    Instant.EPOCH,
                                    saver.load("t", 2).block().document()))
                            .block();
                    return NodeResult.none();
                })
                .compile(saved);

        assertThatThrownBy(() -> last(graph.thread("t").stream(Map.of())))
                .isInstanceOf(GraphRunException.class)
                .hasMessageContaining("the run could not be saved in thread \"t\"")
                .hasCauseInstanceOf(CheckpointConflictException.class)
                .extracting(error -> ((GraphRunException) error).usage().total())
                .isEqualTo(FIRST);
        assertThat(graph.thread("t").last().block().number()).isEqualTo(3);
    }

    @Test
    @DisplayName("must be there, not at its end, of this graph, at a node of it, and of a version that is known")
    void cannotBe() throws JsonProcessingException {
        CompiledGraph graph = waiting();
        GraphThread thread = graph.thread("t");
        assertThatThrownBy(() -> last(thread.resumeStream(Map.of())))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"pair\": thread \"t\" has no checkpoint to resume");
        assertThatThrownBy(() -> thread.fork(7, "u").block())
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"pair\": thread \"t\" has no checkpoint 7");
        last(thread.stream(Map.of()));
        assertThatThrownBy(() -> last(thread.stream(Map.of()))).isInstanceOf(CheckpointConflictException.class);
        assertThatThrownBy(() -> thread.resumeStream(Map.of(GraphRunnerContext.TOKEN_USAGE, 1)))
                .isInstanceOf(GraphDefinitionException.class);

        CompiledGraph other = edges(
                        new StateGraph("other").addNode("a", (state, run) -> NodeResult.none()), "start > a", "a > end")
                .compile(saved);
        assertThatThrownBy(() -> last(other.thread("t").resumeStream(Map.of())))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"other\": thread \"t\" has a run of graph \"pair\"");
        CompiledGraph changed = edges(
                        new StateGraph("pair").addNode("a", (state, run) -> NodeResult.none()), "start > a", "a > end")
                .compile(saved);
        assertThatThrownBy(() -> last(changed.thread("t").resumeStream(Map.of())))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"pair\": the run was saved at node \"first\", which is no node of it now");

        ObjectNode later =
                (ObjectNode) new ObjectMapper().readTree(saver.last("t").block().document());
        later.put("version", 2);
        saver.save(new Checkpoint("later", 1, Status.INTERRUPTED, Instant.EPOCH, later.toString()))
                .block();
        assertThatThrownBy(() -> last(graph.thread("later").resumeStream(Map.of())))
                .isInstanceOf(CheckpointException.class)
                .hasMessageEndingWith("cannot be read: its version is 2, and this library reads 1");

        last(thread.resumeStream(Map.of()));
        assertThatThrownBy(() -> last(thread.resumeStream(Map.of())))
                .isInstanceOf(CheckpointException.class)
                .hasMessage("graph \"pair\": the run in thread \"t\" has ended, so it cannot be resumed");
        assertThatThrownBy(() -> graph.thread(" "))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("threadId must not be blank, but is \" \"");
    }

    /** A type of the app's. */
    record Order(String item, int pieces) {}

    @Test
    @DisplayName("has the app's own values in its state if they are registered, and says which it cannot save if not")
    void ownTypes() {
        StateGraph definition = pair(
                (state, run) -> NodeResult.update("order", new Order("umbrella", 2)),
                (state, run) -> NodeResult.update(
                        "pieces",
                        state.value("order", Order.class).orElseThrow().pieces()));
        CompiledGraph graph = definition.compile(
                saved.withInterruptBefore("second").withSerializer(StateSerializer.DEFAULT.with("order", Order.class)));
        last(graph.thread("t").stream(Map.of()));
        assertThat(last(graph.thread("t").resumeStream(Map.of())).state().value("pieces"))
                .contains(2);

        assertThatThrownBy(() -> last(definition.compile(saved).thread("u").stream(Map.of())))
                .isInstanceOf(GraphRunException.class)
                .hasMessageContaining("the key \"order\": a value of type " + Order.class.getName()
                        + " cannot be saved: register the type with the StateSerializer, or keep it out of the state")
                .hasMessageNotContaining("umbrella");
    }

    @Test
    @DisplayName("is forgotten when its thread is deleted, which can then be started anew")
    void deleted() {
        GraphThread thread = waiting().thread("t");
        last(thread.stream(Map.of()));
        thread.delete().block();

        assertThat(thread.last().block()).isNull();
        assertThat(last(thread.stream(Map.of())).runUsage().total()).isEqualTo(FIRST);
    }
}
