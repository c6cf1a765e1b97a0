package io.fluxtally.graph.checkpoint;

import org.jspecify.annotations.Nullable;

/** A thread has a checkpoint of that number already: another run is saved there, or the same one was resumed elsewhere. */
public final class CheckpointConflictException extends CheckpointException {

    private static final long serialVersionUID = 1L;

    /** For a checkpoint that is there already. */
    public CheckpointConflictException(Checkpoint checkpoint, @Nullable Throwable cause) {
        super(
                "thread \"%s\" has a checkpoint %d already: another run is saved there, or this one was resumed elsewhere"
                        .formatted(checkpoint.threadId(), checkpoint.number()),
                cause);
    }
}
