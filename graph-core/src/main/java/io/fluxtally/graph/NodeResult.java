package io.fluxtally.graph;

import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What a node comes to: an update of the state, now, later, or after a stream of chunks.
 *
 * <p>An update may carry the delta key {@link GraphRunnerContext#TOKEN_USAGE}, which never reaches the state.
 */
public sealed interface NodeResult {

    /** An update that is there. */
    record Update(Map<String, ?> values) implements NodeResult {}

    /** An update that a publisher makes. */
    record Deferred(Mono<? extends Map<String, ?>> values) implements NodeResult {}

    /** An update that blocking work makes. */
    record Blocking(Callable<? extends Map<String, ?>> work) implements NodeResult {}

    /** Chunks, each of which is an output of the run, and at their end an update. */
    record Chunks<T>(Flux<T> chunks, Supplier<? extends ChunkJoiner<? super T>> joiner) implements NodeResult {}

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
}
