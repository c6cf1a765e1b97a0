package io.fluxtally.graph.checkpoint;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Keeps checkpoints in the memory of this process, each as the text that a database would have, until they are
 * {@linkplain #delete deleted}: what a run with many steps keeps here grows with the square of them. Safe for use by any number of threads.
 */
public final class InMemoryCheckpointSaver implements CheckpointSaver {

    private final Map<String, ConcurrentNavigableMap<Long, Checkpoint>> threads = new ConcurrentHashMap<>();

    /** A saver that has none. */
    public InMemoryCheckpointSaver() {}

    private ConcurrentNavigableMap<Long, Checkpoint> thread(String threadId) {
        return threads.getOrDefault(threadId, new ConcurrentSkipListMap<>());
    }

    @Override
    public Mono<Void> save(Checkpoint checkpoint) {
        return Mono.fromRunnable(() -> threads.compute(checkpoint.threadId(), (id, there) -> {
            ConcurrentNavigableMap<Long, Checkpoint> thread = there == null ? new ConcurrentSkipListMap<>() : there;
            long last = thread.isEmpty() ? 0 : thread.lastKey();
            if (checkpoint.number() != last + 1) {
                throw new CheckpointConflictException(checkpoint, null);
            }
            thread.put(checkpoint.number(), checkpoint);
            return thread;
        }));
    }

    @Override
    public Mono<Checkpoint> last(String threadId) {
        return Mono.fromSupplier(() -> {
            Map.@Nullable Entry<Long, Checkpoint> last = thread(threadId).lastEntry();
            return last == null ? null : last.getValue();
        });
    }

    @Override
    public Mono<Checkpoint> load(String threadId, long number) {
        return Mono.fromSupplier(() -> thread(threadId).get(number));
    }

    @Override
    public Flux<Checkpoint> history(String threadId) {
        return Flux.defer(
                () -> Flux.fromIterable(thread(threadId).descendingMap().values()));
    }

    @Override
    public Mono<Void> delete(String threadId) {
        return Mono.fromRunnable(() -> threads.remove(threadId));
    }
}
