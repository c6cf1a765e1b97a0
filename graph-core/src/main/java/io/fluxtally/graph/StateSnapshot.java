package io.fluxtally.graph;

import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.usage.RunUsage;
import java.time.Instant;
import java.util.List;

/**
 * What a checkpoint says, for a person who is to decide how its run goes on.
 *
 * @param threadId the thread
 * @param number the checkpoint's number in the thread, from 1
 * @param status what the run did when it was saved
 * @param savedAt when it was saved
 * @param state the state of the graph
 * @param usage what the run had used; it is not complete if requests were under way
 * @param interrupts where the run waits; empty if it was not interrupted
 */
public record StateSnapshot(
        String threadId,
        long number,
        Checkpoint.Status status,
        Instant savedAt,
        GraphState state,
        RunUsage usage,
        List<Interrupt> interrupts) {}
