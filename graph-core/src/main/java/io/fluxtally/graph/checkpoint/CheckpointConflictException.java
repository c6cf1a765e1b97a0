package io.fluxtally.graph.checkpoint;

import org.jspecify.annotations.Nullable;

/** A checkpoint is not the next one of its thread: another run is saved there, the same one was resumed elsewhere, or it was deleted. */
public final class CheckpointConflictException extends CheckpointException {

    private static final long serialVersionUID = 1L;

    /** For a checkpoint that does not follow upon the last one of its thread. */
    public CheckpointConflictException(Checkpoint checkpoint, @Nullable Throwable cause) {
        super(
                "checkpoint %d is not the next one of thread \"%s\": another run is saved there, or this one was resumed elsewhere, or deleted"
                        .formatted(checkpoint.number(), checkpoint.threadId()),
                cause);
    }
}
