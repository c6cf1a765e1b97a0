package io.fluxtally.graph.checkpoint;

import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Keeps checkpoints, in threads of consecutive numbers.
 *
 * <p>Implementations are safe for use by any number of threads. Nothing is done before a subscription, and nothing blocks
 * the subscriber's thread. What they are given may hold prompts and answers: it is for the app's own storage, and never
 * logged.
 */
public interface CheckpointSaver {

    /**
     * Keeps a checkpoint, if it is the next one of its thread: the first, or one more than the last.
     *
     * @return completes when it is kept; the error is a {@link CheckpointConflictException} if it is not the next one, and
     *     nothing is changed then
     */
    Mono<Void> save(Checkpoint checkpoint);

    /** The last checkpoint of a thread, or nothing. */
    Mono<Checkpoint> last(String threadId);

    /** A checkpoint of a thread, or nothing. */
    Mono<Checkpoint> load(String threadId, long number);

    /** All checkpoints of a thread, the last one first. */
    Flux<Checkpoint> history(String threadId);

    /** Removes all checkpoints of a thread; does nothing if there are none. */
    Mono<Void> delete(String threadId);
}
