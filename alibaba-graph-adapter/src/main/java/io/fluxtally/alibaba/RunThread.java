package io.fluxtally.alibaba;

import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.ThreadScope;
import io.fluxtally.usage.scope.UsageScope;
import org.jspecify.annotations.Nullable;

/**
 * Which run the current thread works for.
 *
 * <p>The graph's executor steps from node to node on whatever thread the last node ended on, and tells a node action
 * nothing but its state and config; both are the app's, so that nothing of ours is put there. What is bound here is bound for the
 * length of one call or signal and taken back after it, so that no run is kept alive and no foreign work is booked to it.
 */
final class RunThread {

    private static final ThreadLocal<@Nullable Frame> CURRENT = new ThreadLocal<>();

    private RunThread() {}

    /**
     * What a thread works for.
     *
     * @param previous what it worked for before, or null
     * @param run the run
     * @param inNode whether it is in the code of a node, and not in that of the graph
     * @param before the usage scope that the thread had before
     */
    record Frame(
            @Nullable Frame previous,
            GraphRun run,
            boolean inNode,
            @Nullable UsageScope before) {}

    /** The run whose graph's own code runs on this thread, or null if it is in a node or in no run. */
    static @Nullable GraphRun inGraph() {
        Frame frame = CURRENT.get();
        return frame == null || frame.inNode ? null : frame.run;
    }

    /** The innermost run on this thread, or null. */
    static @Nullable GraphRun current() {
        Frame frame = CURRENT.get();
        return frame == null ? null : frame.run;
    }

    /** The run of the given graph if its own code runs on this thread, else null. */
    static @Nullable GraphRun of(FluxtallyGraph graph) {
        GraphRun run = inGraph();
        return run != null && run.graph() == graph ? run : null;
    }

    /** Lets the thread work for a run's graph until {@link #unbind}. */
    static Frame bind(GraphRun run) {
        return bind(run, run.scope(), false);
    }

    /** Lets the thread work for a node until {@link #unbind}. */
    static Frame bind(NodeRun node) {
        return bind(node.run(), node.scope(), true);
    }

    private static Frame bind(GraphRun run, RunScope scope, boolean inNode) {
        Frame frame = new Frame(CURRENT.get(), run, inNode, ThreadScope.get());
        CURRENT.set(frame);
        ThreadScope.set(scope);
        return frame;
    }

    /** Gives the thread back what it was before the given frame was bound. */
    static void unbind(Frame frame) {
        set(frame.previous, frame.before);
    }

    /** Runs something for a run's graph. */
    static void inside(GraphRun run, Runnable work) {
        inside(bind(run), work);
    }

    /** Runs something for a node. */
    static void inside(NodeRun node, Runnable work) {
        inside(bind(node), work);
    }

    private static void inside(Frame frame, Runnable work) {
        try {
            work.run();
        } finally {
            unbind(frame);
        }
    }

    /**
     * Runs what the app does with an output of a run: on the same thread, but in none of the run's scopes.
     *
     * @param root the outermost run that the output comes from
     */
    static void outside(GraphRun root, Runnable app) {
        Frame inside = CURRENT.get();
        if (inside == null || inside.run.root() != root) {
            app.run();
            return;
        }
        Frame frame = inside;
        Frame outside;
        do {
            outside = frame;
            frame = frame.previous;
        } while (frame != null && frame.run.root() == root);
        UsageScope scope = ThreadScope.get();
        set(frame, outside.before);
        try {
            app.run();
        } finally {
            set(inside, scope);
        }
    }

    private static void set(@Nullable Frame frame, @Nullable UsageScope scope) {
        if (frame == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(frame);
        }
        ThreadScope.set(scope);
    }
}
