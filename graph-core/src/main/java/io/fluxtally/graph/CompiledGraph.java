package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointConflictException;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageLimits;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.scope.UsageScope;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SynchronousSink;
import reactor.util.context.ContextView;

/**
 * A graph that can run, any number of times at once. Each subscription is a run of its own; if it is subscribed to inside
 * another run, it is a part of that one and its usage is counted there too, once.
 *
 * <p>Immutable and safe for use by any number of threads. Steps are iterated, not nested: a run may have any number of
 * them in constant stack.
 */
public final class CompiledGraph {

    private final String name;
    private final Map<String, NodeExecutor> executors = new LinkedHashMap<>();
    private final Map<String, StateGraph.Edge> edges;

    /** Where branches meet, by the node at which they start. */
    private final Map<String, String> joins;

    private final Map<String, KeyStrategy> keyStrategies;
    private final CompileConfig config;

    CompiledGraph(
            String name,
            Map<String, StateGraph.Node> nodes,
            Map<String, StateGraph.Edge> edges,
            Map<String, String> joins,
            Map<String, KeyStrategy> keyStrategies,
            CompileConfig config) {
        this.name = name;
        nodes.forEach((node, definition) -> executors.put(node, new NodeExecutor(node, definition)));
        this.edges = Map.copyOf(edges);
        this.joins = Map.copyOf(joins);
        this.keyStrategies = Map.copyOf(keyStrategies);
        this.config = config;
    }

    /** The graph's name. */
    public String name() {
        return name;
    }

    /** The graph as a drawing. */
    public GraphDrawing drawing() {
        return GraphDrawing.of(name, config.agent(), executors.keySet(), edges);
    }

    /**
     * Runs the graph, its model calls streamed. The last output is that of {@link StateGraph#END}, or an
     * {@link InterruptedOutput}. If runs are saved, this one is, in a thread of a random id; {@link #thread} lets the app
     * choose it.
     *
     * @param input the first values of the state
     * @return the outputs as they come; errors are {@link GraphRunException}s
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Flux<NodeOutput> stream(Map<String, ?> input) {
        return run(input, true);
    }

    /**
     * Runs the graph, its model calls not streamed, and gives the output of {@link StateGraph#END}, or an
     * {@link InterruptedOutput}. If runs are saved, this one is, as with {@link #stream}.
     *
     * @param input the first values of the state
     * @return the last output; errors are {@link GraphRunException}s
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Mono<NodeOutput> invoke(Map<String, ?> input) {
        return run(input, false).last();
    }

    /**
     * This graph as a node of another, on that one's state: it sees all of it, and what its nodes write is written there,
     * each update once. The other must merge the keys that have a {@link KeyStrategy} here by the same one.
     *
     * <p>Its outputs are outputs of the run, with the node in their {@link NodeOutput#path() path}. The output of its end
     * is left out: in its place is that of the node, whose usage is all that the sub-graph has used. Its limit on node
     * executions is its own.
     */
    public NodeAction asNode() {
        return new SharedSubGraph(this);
    }

    /**
     * This graph as a node of another, with a state of its own. The outputs are those of {@link #asNode()}.
     *
     * @param input the first values of its state, given that of the graph around it
     * @param update what the node writes, given its state at the end
     */
    public NodeAction asNode(
            Function<? super GraphState, ? extends Map<String, ?>> input,
            Function<? super GraphState, ? extends Map<String, ?>> update) {
        Objects.requireNonNull(input, "input");
        Objects.requireNonNull(update, "update");
        return (state, run) -> NodeResult.subGraph(this, input.apply(state), update);
    }

    /**
     * The thread of the given id, whether a run is saved there already or not.
     *
     * @throws IllegalStateException if runs of this graph are not saved: see {@link CompileConfig#withCheckpoints}
     * @throws IllegalArgumentException if the id is blank
     */
    public GraphThread thread(String threadId) {
        checkpoints();
        if (threadId.isBlank()) {
            throw new IllegalArgumentException("threadId must not be blank, but is \"%s\"".formatted(threadId));
        }
        return new GraphThread(this, threadId);
    }

    CheckpointSaver checkpoints() {
        CheckpointSaver saver = config.checkpoints();
        if (saver == null) {
            throw new IllegalStateException(
                    "graph \"%s\": its runs are not saved, so they can be neither interrupted nor resumed: compile it with a CheckpointSaver"
                            .formatted(name));
        }
        return saver;
    }

    private Flux<NodeOutput> run(Map<String, ?> input, boolean streaming) {
        if (config.checkpoints() != null) {
            return start(null, input, streaming);
        }
        if (!config.interruptBefore().isEmpty() || !config.interruptAfter().isEmpty()) {
            checkpoints();
        }
        GraphState state = begin(input);
        return Flux.deferContextual(context -> {
            RunScope scope = openScope(context, null);
            GraphRunnerContext run = new GraphRunnerContext(this, scope, streaming, state, null);
            return steps(run).contextWrite(scope::writeTo);
        });
    }

    /** Starts a run that is saved in the given thread, or if it is null, in one of a random id for each subscription. */
    Flux<NodeOutput> start(@Nullable String threadId, Map<String, ?> input, boolean streaming) {
        GraphState state = begin(input);
        return Flux.deferContextual(context -> {
            RunScope scope = openScope(context, null);
            String thread = threadId == null ? UUID.randomUUID().toString() : threadId;
            return saved(thread, 0, saved -> new GraphRunnerContext(this, scope, streaming, state, saved))
                    .contextWrite(scope::writeTo);
        });
    }

    /** Goes on with the run that is saved in a thread. */
    Flux<NodeOutput> resume(String threadId, Map<String, ?> feedback, boolean streaming) {
        feedback.keySet().forEach(key -> GraphValidation.checkKey(name, key));
        return Flux.deferContextual(context -> checkpoints()
                .last(threadId)
                .switchIfEmpty(Mono.error(() -> new CheckpointException(
                        "graph \"%s\": thread \"%s\" has no checkpoint to resume".formatted(name, threadId))))
                .flatMapMany(checkpoint -> resume(checkpoint, feedback, streaming, context)));
    }

    private Flux<NodeOutput> resume(
            Checkpoint checkpoint, Map<String, ?> feedback, boolean streaming, ContextView context) {
        return resumeFrom(checkpoint, feedback, streaming, context)
                // The run may have been saved once more meanwhile, with figures that came after it had ended.
                .onErrorResume(
                        CheckpointConflictException.class,
                        conflict -> checkpoints()
                                .load(checkpoint.threadId(), checkpoint.number() + 1)
                                .filter(next -> next.status() == checkpoint.status() && isOver(next))
                                .switchIfEmpty(Mono.error(conflict))
                                .flatMapMany(next -> resume(next, feedback, streaming, context)));
    }

    private static boolean isOver(Checkpoint checkpoint) {
        return checkpoint.status() == Checkpoint.Status.CANCELLED || checkpoint.status() == Checkpoint.Status.FAILED;
    }

    private Flux<NodeOutput> resumeFrom(
            Checkpoint checkpoint, Map<String, ?> feedback, boolean streaming, ContextView context) {
        RunDocument document = read(checkpoint);
        if (document.position().isAtEnd()) {
            throw new CheckpointException("graph \"%s\": the run in thread \"%s\" has ended, so it cannot be resumed"
                    .formatted(name, checkpoint.threadId()));
        }
        RunScope scope = openScope(context, document.runId());
        RunUsage before = document.usage();
        boolean died = checkpoint.status() == Checkpoint.Status.RUNNING;
        scope.tally().restore(died ? RunUsage.of(before.requests(), before.inFlight() + 1) : before);
        Position position = document.position().resumed(feedback);
        return saved(checkpoint.threadId(), checkpoint.number(), saved -> {
                    GraphRunnerContext run = new GraphRunnerContext(this, scope, streaming, position.state(), saved);
                    run.restore(position);
                    return run;
                })
                .contextWrite(scope::writeTo);
    }

    private Flux<NodeOutput> saved(String threadId, long number, Function<RunCheckpoints, GraphRunnerContext> run) {
        return new RunCheckpoints(checkpoints(), config.serializer(), threadId, number, run).outputs();
    }

    /** Copies a checkpoint into a thread that has none. */
    Mono<GraphThread> fork(String threadId, long number, String newThreadId) {
        GraphThread forked = thread(newThreadId);
        return checkpoints()
                .load(threadId, number)
                .switchIfEmpty(Mono.error(() -> new CheckpointException(
                        "graph \"%s\": thread \"%s\" has no checkpoint %d".formatted(name, threadId, number))))
                .flatMap(checkpoint -> checkpoints()
                        .save(new Checkpoint(
                                newThreadId, 1, Checkpoint.Status.FORKED, Instant.now(), checkpoint.document())))
                .thenReturn(forked);
    }

    StateSnapshot snapshot(Checkpoint checkpoint) {
        RunDocument document = read(checkpoint);
        return new StateSnapshot(
                checkpoint.threadId(),
                checkpoint.number(),
                checkpoint.status(),
                checkpoint.savedAt(),
                document.position().state(),
                document.usage(),
                document.position().interrupts());
    }

    private RunDocument read(Checkpoint checkpoint) {
        RunDocument document = RunDocument.read(checkpoint, config.serializer());
        if (!document.graph().equals(name)) {
            throw new CheckpointException("graph \"%s\": thread \"%s\" has a run of graph \"%s\""
                    .formatted(name, checkpoint.threadId(), document.graph()));
        }
        return document;
    }

    Flux<NodeOutput> steps(GraphRunnerContext run) {
        // Without prefetch the next step is not asked for before the last one is through, and generate() turns requests
        // that come in from inside a step into another turn of its loop.
        return Flux.<Flux<NodeOutput>>generate(steps -> step(run, steps)).concatMap(Function.identity(), 0);
    }

    /** The scope of a run: a part of the one around it, or a new one of the given id, or of an id of its own. */
    private RunScope openScope(ContextView context, @Nullable String runId) {
        UsageScope outer = UsageScope.current(context);
        RunScope outerRun = outer == null ? null : outer.runScope();
        if (outerRun != null) {
            return configure(outerRun.branch());
        }
        return configure(runId == null ? RunScope.start() : RunScope.start(runId));
    }

    /** The scope of a run of this graph, or of its part in another: with its limits, and under its agent's name. */
    RunScope configure(RunScope scope) {
        RunScope limited = config.limits().equals(UsageLimits.NONE) ? scope : scope.withLimits(config.limits());
        return config.agent() == null ? limited : limited.withAgent(config.agent());
    }

    /** The state that a run begins with. */
    GraphState begin(Map<String, ?> input) {
        input.keySet().forEach(key -> GraphValidation.checkKey(name, key));
        return GraphState.EMPTY.with(input, keyStrategies);
    }

    private void step(GraphRunnerContext run, SynchronousSink<Flux<NodeOutput>> steps) {
        Flux<NodeOutput> outputs = next(run);
        RunCheckpoints checkpoints = run.checkpoints();
        if (outputs == null) {
            steps.complete();
        } else if (checkpoints == null || !run.isSaved() || run.isAtEnd()) {
            steps.next(outputs);
        } else {
            steps.next(outputs.concatWith(checkpoints.saveStep(run)));
        }
    }

    /** The outputs of the next step, or null if there is none. */
    private @Nullable Flux<NodeOutput> next(GraphRunnerContext run) {
        if (run.isAtEnd() || run.isInterrupted()) {
            return null;
        }
        if (run.isInsideNode()) {
            return executor(run.node()).execute(run);
        }
        if (!run.branches().isEmpty()) {
            return branches(run);
        }
        if (run.interruptsAfter()) {
            run.interrupt(null);
            return null;
        }
        List<String> targets = run.advance();
        String next = targets.get(0);
        if (targets.size() > 1) {
            String join = join(run.node());
            run.fork(targets.stream().map(target -> run.branch(target, join)).toList());
            return branches(run);
        }
        if (run.endsAt(next)) {
            run.stopBefore(next);
            return null;
        }
        if (run.interruptsBefore(next)) {
            run.interrupt(next);
            return null;
        }
        run.moveTo(next);
        return run.isAtEnd() ? end(run) : executor(next).execute(run);
    }

    private static Flux<NodeOutput> end(GraphRunnerContext run) {
        RunCheckpoints checkpoints = run.checkpoints();
        NodeOutput end = new NodeOutput(StateGraph.END, run, RunUsage.EMPTY);
        return checkpoints == null ? Flux.just(end) : checkpoints.saveEnd().thenMany(Flux.just(end));
    }

    /** Runs branches at once, each at most one output ahead of what is asked for, until they have met. */
    private Flux<NodeOutput> branches(GraphRunnerContext run) {
        return NodeExecutor.onDemand(
                        run,
                        it -> Flux.fromIterable(it.branches())
                                .flatMap(
                                        branch -> steps(branch).doOnError(error -> it.stopBranches()),
                                        config.maxParallel(),
                                        1))
                .doOnCancel(run::stopBranches)
                .doOnComplete(() -> run.join(join(run.node())))
                .onErrorMap(error -> settled(run, error));
    }

    /** Whether branches may start at a node. */
    boolean forks(String node) {
        return joins.containsKey(node);
    }

    /** Where the branches meet that start at a node. */
    String join(String node) {
        return Objects.requireNonNull(joins.get(node), "join");
    }

    /** The first of the errors that came at once, with what the run has used now that all its branches are cancelled. */
    private static Throwable settled(GraphRunnerContext run, Throwable error) {
        List<Throwable> errors = Exceptions.unwrapMultiple(error);
        Throwable first = errors.get(0);
        errors.stream().skip(1).filter(other -> other != first).forEach(first::addSuppressed);
        if (first instanceof GraphRunException failure) {
            failure.settle(run.usage());
        }
        return first;
    }

    private NodeExecutor executor(String node) {
        NodeExecutor executor = executors.get(node);
        if (executor == null) {
            throw new NoSuchElementException(node);
        }
        return executor;
    }

    List<String> next(String node, GraphState state, GraphRunnerContext run) {
        StateGraph.Edge edge = edges.get(node);
        if (edge == null) {
            throw new NoSuchElementException(node);
        }
        List<String> names;
        UsageScope.Binding binding = run.scope().bind();
        try (binding) {
            names = edge.names().apply(state);
        } catch (Exception error) {
            throw new NodeFailedException(name, node, run.usage(), error);
        }
        List<String> targets = names == null
                ? List.of()
                : names.stream()
                        .flatMap(choice -> Stream.ofNullable(
                                choice == null ? null : edge.targets().get(choice)))
                        .distinct()
                        .toList();
        if (names == null || targets.isEmpty() || targets.size() < names.size()) {
            throw new GraphRunException(wrongRoute(node, edge, names), name, node, run.usage(), null);
        }
        return targets;
    }

    private String wrongRoute(String node, StateGraph.Edge edge, @Nullable List<String> names) {
        Set<String> known = edge.targets().keySet();
        return edge.isParallel()
                ? "graph \"%s\": the route of node \"%s\" names some of %s, no node twice, but named %s"
                        .formatted(name, node, known, names)
                : "graph \"%s\": the condition of node \"%s\" names one of %s, but named \"%s\""
                        .formatted(name, node, known, names == null ? null : names.get(0));
    }

    boolean interruptsBefore(String node) {
        return config.interruptBefore().contains(node);
    }

    boolean interruptsAfter(String node) {
        return config.interruptAfter().contains(node);
    }

    /** Whether a run may stand at the node. */
    boolean has(String node) {
        return executors.containsKey(node) || node.equals(StateGraph.START) || node.equals(StateGraph.END);
    }

    long maxIterations() {
        return config.maxIterations();
    }

    /** The error of a run that would come to a node once more than it may. */
    MaxIterationsException tooMany(String node, RunUsage usage) {
        return config.maxRounds() == null
                ? new MaxIterationsException(name, node, config.maxIterations(), usage)
                : MaxIterationsException.ofRounds(name, node, config.maxRounds(), usage);
    }

    UsageRecorder recorder() {
        return config.recorder();
    }

    Map<String, KeyStrategy> keyStrategies() {
        return keyStrategies;
    }
}
