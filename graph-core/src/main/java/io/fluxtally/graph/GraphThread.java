package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.CheckpointConflictException;
import io.fluxtally.graph.checkpoint.CheckpointException;
import java.util.Map;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * One run of a graph that is saved as it goes, under an id of the app's own: what it has come to can be read, and it can be
 * resumed after an interrupt, an error, a cancellation or the death of its process. It is one run, and no conversation:
 * what a further run is to know of it is its input.
 *
 * <p>It is saved after each node that runs alone, once its outputs have been heard, sub-graphs' nodes included; branches
 * that run at once are saved when they have met or are all interrupted or done. Each checkpoint holds the whole state and all
 * requests, so that saving takes longer as these grow, and a thread keeps all of them until it is deleted. A resumed run goes
 * on from the last one, and so does its total. What runs again is requested again and counted again; what does not is in the
 * total once. Of a node whose sub-graph was interrupted the action is called again, to describe the sub-graph.
 *
 * <p>A run keeps its id, and a fork has that of the run it was copied from; resumed inside another run, new requests are
 * under the other's.
 *
 * <p>Immutable and safe for use by any number of threads. A run that cannot be started or taken up fails with a
 * {@link CheckpointException}, or with what its saver fails with; one that cannot be saved any more with a
 * {@link GraphRunException}, as for any other reason, caused by one.
 */
public final class GraphThread {

    private final CompiledGraph graph;
    private final String id;

    GraphThread(CompiledGraph graph, String id) {
        this.graph = graph;
        this.id = id;
    }

    /** The thread's id. */
    public String id() {
        return id;
    }

    /**
     * Starts the run, its model calls streamed. The last output is that of {@link StateGraph#END}, or an
     * {@link InterruptedOutput}.
     *
     * @param input the first values of the state
     * @return the outputs as they come; the error is a {@link CheckpointConflictException} if the thread has a run already
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Flux<NodeOutput> stream(Map<String, ?> input) {
        return graph.start(id, input, true);
    }

    /**
     * Starts the run, its model calls not streamed, and gives its last output.
     *
     * @param input the first values of the state
     * @return the last output; the error is a {@link CheckpointConflictException} if the thread has a run already
     * @throws GraphDefinitionException if the input uses a reserved key
     */
    public Mono<NodeOutput> invoke(Map<String, ?> input) {
        return graph.start(id, input, false).last();
    }

    /**
     * Goes on with the run from its last checkpoint, its model calls streamed. Two that try it at once do not both do it:
     * the later one fails with a {@link CheckpointConflictException} before anything is requested.
     *
     * <p>Where the process of a run has died, what it requested after its last checkpoint is not known: the total is then
     * not complete.
     *
     * @param feedback an update that is merged into the state first, where the run was interrupted; empty if there is none
     * @throws GraphDefinitionException if the feedback uses a reserved key
     */
    public Flux<NodeOutput> resumeStream(Map<String, ?> feedback) {
        return graph.resume(id, feedback, true);
    }

    /** {@link #resumeStream}, but with model calls that are not streamed; gives the last output. */
    public Mono<NodeOutput> resumeInvoke(Map<String, ?> feedback) {
        return graph.resume(id, feedback, false).last();
    }

    /**
     * Copies a checkpoint into another thread, to go on from there in another way. What the run had used until then is in
     * both totals; what either uses from now on is in its own alone.
     *
     * @param number the checkpoint's number in this thread
     * @param threadId the new thread
     * @return the new thread; the error is a {@link CheckpointConflictException} if it has a run already
     */
    public Mono<GraphThread> fork(long number, String threadId) {
        return graph.fork(id, number, threadId);
    }

    /** What the last checkpoint says, or nothing if there is none. */
    public Mono<StateSnapshot> last() {
        return graph.checkpoints().last(id).map(graph::snapshot);
    }

    /** What all checkpoints say, the last one first. */
    public Flux<StateSnapshot> history() {
        return graph.checkpoints().history(id).map(graph::snapshot);
    }

    /** Forgets the run: removes its checkpoints. */
    public Mono<Void> delete() {
        return graph.checkpoints().delete(id);
    }

    @Override
    public String toString() {
        return "GraphThread[id=%s, graph=%s]".formatted(id, graph.name());
    }
}
