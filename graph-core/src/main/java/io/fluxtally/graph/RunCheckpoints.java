package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointConflictException;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.StateSerializer;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;

/** Saves one run as it goes: where it stands whenever nothing runs beside, and how it ends. */
final class RunCheckpoints {

    private static final Logger LOG = LoggerFactory.getLogger(RunCheckpoints.class);

    private final CheckpointSaver saver;
    private final StateSerializer serializer;
    private final String threadId;
    private final GraphRunnerContext run;

    /** Whether the run has its last checkpoint, behind which there must be none. */
    private final AtomicBoolean closed = new AtomicBoolean();

    /** The number of the last checkpoint that was kept; 0 if there is none. */
    private volatile long number;

    /** Where the run was saved last, or null before it was saved for the first time. */
    private volatile @Nullable Position position;

    /** The saving that was begun last: it goes on even when the run is cancelled, and the next one waits for it. */
    private volatile Mono<Void> saving = Mono.empty();

    /**
     * For a run that is saved in the given thread.
     *
     * @param number that of the checkpoint that the run goes on from; 0 if there is none
     * @param run makes the run, given this
     */
    RunCheckpoints(
            CheckpointSaver saver,
            StateSerializer serializer,
            String threadId,
            long number,
            Function<RunCheckpoints, GraphRunnerContext> run) {
        this.saver = saver;
        this.serializer = serializer;
        this.threadId = threadId;
        this.number = number;
        this.run = run.apply(this);
    }

    /** The outputs of the run, which is saved before its first step, and a last time when it has ended in any way. */
    Flux<NodeOutput> outputs() {
        return save(Checkpoint.Status.RUNNING)
                .thenMany(Flux.defer(() -> run.outputs()
                        .concatWith(Mono.defer(this::interrupted))
                        .onErrorResume(error -> failed(error).then(Mono.error(error)))))
                .doFinally(signal -> {
                    if (signal == SignalType.CANCEL) {
                        cancelled();
                    }
                });
    }

    private Mono<NodeOutput> interrupted() {
        return run.isInterrupted()
                ? saveLast(Checkpoint.Status.INTERRUPTED)
                        .then(Mono.fromSupplier(() -> new InterruptedOutput(run, threadId, interrupts())))
                : Mono.empty();
    }

    /** Where the run waited when it was saved last. */
    private List<Interrupt> interrupts() {
        return Objects.requireNonNull(position, "position").interrupts();
    }

    /** Saves the run after a step of it, or of a sub-graph of its, unless it waits: then it is saved when all waits. */
    Mono<NodeOutput> saveStep(GraphRunnerContext part) {
        return Mono.defer(() -> part.isInterrupted() ? Mono.empty() : save(Checkpoint.Status.RUNNING))
                .onErrorMap(this::unsaved)
                .then(Mono.empty());
    }

    /** Saves the run, which has come to its end. */
    Mono<Void> saveEnd() {
        return saveLast(Checkpoint.Status.ENDED);
    }

    private Mono<Void> save(Checkpoint.Status status) {
        return Mono.defer(() -> write(run.position(), status));
    }

    private Mono<Void> saveLast(Checkpoint.Status status) {
        return Mono.defer(() -> {
                    closed.set(true);
                    return save(status);
                })
                .onErrorMap(this::unsaved);
    }

    private Mono<Void> failed(Throwable error) {
        return saveAgain(Checkpoint.Status.FAILED).onErrorResume(unsaved -> {
            error.addSuppressed(unsaved);
            return Mono.empty();
        });
    }

    private void cancelled() {
        saveAgain(Checkpoint.Status.CANCELLED).subscribe(none -> {}, RunCheckpoints::warn);
    }

    /**
     * Saves the run where it was saved before, with what it has used by now, unless it was not saved at all, or has its last
     * checkpoint. Figures of requests that were cut off may come later: then it is saved again, unless it is resumed before.
     */
    private Mono<Void> saveAgain(Checkpoint.Status status) {
        return saving.onErrorComplete().then(Mono.defer(() -> {
            Position saved = position;
            if (saved == null || closed.getAndSet(true)) {
                return Mono.empty();
            }
            boolean late = run.usage().inFlight() > 0;
            Mono<Void> writing = write(saved, status);
            return late ? writing.doOnSuccess(kept -> run.whenSettled(() -> saveLate(saved, status))) : writing;
        }));
    }

    private void saveLate(Position saved, Checkpoint.Status status) {
        Mono.defer(() -> write(saved, status))
                .onErrorComplete(CheckpointConflictException.class)
                .subscribe(none -> {}, RunCheckpoints::warn);
    }

    private static void warn(Throwable unsaved) {
        LOG.warn("A run has ended, and could not be saved: {}", unsaved.toString());
    }

    private Mono<Void> write(Position where, Checkpoint.Status status) {
        RunDocument document = new RunDocument(run.graph(), run.runId(), where);
        Checkpoint checkpoint = new Checkpoint(threadId, number + 1, status, Instant.now(), document.write(serializer));
        saving = saver.save(checkpoint)
                .doOnSuccess(kept -> {
                    number = checkpoint.number();
                    position = where;
                })
                .cache();
        return saving;
    }

    private GraphRunException unsaved(Throwable error) {
        closed.set(true);
        return new GraphRunException(
                "graph \"%s\": the run could not be saved in thread \"%s\": %s"
                        .formatted(run.graph(), threadId, error.getMessage()),
                run.graph(),
                run.node(),
                run.usage(),
                // By which a retry knows that it is not the node that failed.
                error instanceof CheckpointException
                        ? error
                        : new CheckpointException("the saver failed: " + error, error));
    }
}
