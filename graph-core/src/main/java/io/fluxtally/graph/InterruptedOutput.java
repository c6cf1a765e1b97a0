package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import java.util.List;

/**
 * The last output of a run that was interrupted, and is saved: {@link GraphThread#resumeStream} goes on with it, in this
 * process or another. Its {@link #runUsage()} is what the run has used until then, and its node is that of the first
 * interrupt. Immutable and safe for use by any number of threads, as the state's values are.
 */
public final class InterruptedOutput extends NodeOutput {

    private final String threadId;
    private final List<Interrupt> interrupts;

    InterruptedOutput(GraphRunnerContext run, String threadId, List<Interrupt> interrupts) {
        super(interrupts.get(0).node(), run, RunUsage.EMPTY);
        this.threadId = threadId;
        this.interrupts = interrupts;
    }

    /** The thread that the run is saved in. */
    public String threadId() {
        return threadId;
    }

    /** Where the run waits: in one place, or where branches ran at once, in one or more of them. */
    public List<Interrupt> interrupts() {
        return interrupts;
    }
}
