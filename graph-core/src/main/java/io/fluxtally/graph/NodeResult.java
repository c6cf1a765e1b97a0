package io.fluxtally.graph;

import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Supplier;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What a node comes to: an update of the state, now, later, or after a stream of chunks or a run of another graph.
 *
 * <p>An update may carry the delta key {@link GraphRunnerContext#TOKEN_USAGE}, which never reaches the state.
 */
public sealed interface NodeResult
        permits NodeResult.Update,
                NodeResult.Deferred,
                NodeResult.Blocking,
                NodeResult.Chunks,
                NodeResult.SubGraph,
                SharedSubGraph {

    /** An update that is there. */
    record Update(Map<String, ?> values) implements NodeResult {}

    /** An update that a publisher makes. */
    record Deferred(Mono<? extends Map<String, ?>> values) implements NodeResult {}

    /** An update that blocking work makes. */
    record Blocking(Callable<? extends Map<String, ?>> work) implements NodeResult {}

    /** Chunks, each of which is an output of the run, and at their end an update. */
    record Chunks<T>(Flux<T> chunks, Supplier<? extends ChunkJoiner<? super T>> joiner) implements NodeResult {}

    /** A run of another graph, each output of which is an output of the run, and at its end an update. */
    record SubGraph(
            CompiledGraph graph, Map<String, ?> input, Function<? super GraphState, ? extends Map<String, ?>> update)
            implements NodeResult {}

    /** No update at all. */
    static NodeResult none() {
        return new Update(Map.of());
    }

    /** An update of one key. */
    static NodeResult update(String key, Object value) {
        return new Update(Map.of(key, value));
    }

    /** An update of several keys. */
    static NodeResult update(Map<String, ?> values) {
        return new Update(values);
    }

    /** An update that a publisher makes; if it is empty, no update. */
    static NodeResult deferred(Mono<? extends Map<String, ?>> values) {
        return new Deferred(values);
    }

    /**
     * An update that blocking work makes, on a thread made for it. A cancelled run interrupts it. Model requests made in
     * it are booked to the node.
     *
     * <p>How soon an interrupt ends an HTTP request, its client decides. In Spring 6.2 the {@code RestClient} of Reactor
     * Netty and that of the JDK give up at once while they wait for the head of a response, and close the connection. None of
     * them notices while it waits for more of a body: Reactor Netty's goes on until its read timeout (10 s unless set), the
     * JDK's and {@code SimpleClientHttpRequestFactory}, which notices no interrupt at all, until the provider sends or
     * ends. Until then the request is in flight. So set a read timeout where that matters, or stream.
     */
    static NodeResult blocking(Callable<? extends Map<String, ?>> work) {
        return new Blocking(work);
    }

    /**
     * Chunks that are outputs of the run as they come, joined to an update at their end.
     *
     * @param chunks the chunks; chat responses among them are heard for their usage before anything else sees them
     * @param joiner makes the joiner of one execution
     */
    static <T> NodeResult chunks(Publisher<T> chunks, Supplier<? extends ChunkJoiner<? super T>> joiner) {
        return new Chunks<>(Flux.from(chunks), joiner);
    }

    /**
     * A run of another graph, which is a part of this one: its outputs are outputs of the run as they come, but that of
     * its end, in place of which is the node's own.
     *
     * @param graph the graph
     * @param input the first values of its state
     * @param update the update, given its state at the end
     */
    static NodeResult subGraph(
            CompiledGraph graph, Map<String, ?> input, Function<? super GraphState, ? extends Map<String, ?>> update) {
        return new SubGraph(graph, input, update);
    }
}
