package io.fluxtally.graph;

import io.fluxtally.usage.RunUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where a run stands, or a part of it, in a form that can be saved and taken up again.
 *
 * @param node the node that has run last
 * @param next the node to go to instead of along an edge, or null
 * @param afterChecked whether the run was, or need not be, interrupted after the node
 * @param beforeChecked whether the run was, or need not be, interrupted before the next node
 * @param interrupt where the part waits, or null
 * @param state its state
 * @param feedback updates that are to be merged into the state
 * @param written what it has written, by key, or null where nobody is to know
 * @param counts how often nodes were come to, or null in a branch, which counts with all others
 * @param branches the branches that have started at the node and not met yet, or none
 * @param subGraph the sub-graph that is being run, or null
 * @param usage what it has used
 */
record Position(
        String node,
        @Nullable String next,
        boolean afterChecked,
        boolean beforeChecked,
        Interrupt.@Nullable When interrupt,
        GraphState state,
        List<? extends Map<String, ?>> feedback,
        @Nullable Map<String, ? extends List<@Nullable Object>> written,
        @Nullable Counts counts,
        List<Position> branches,
        @Nullable SubGraph subGraph,
        Supplier<RunUsage> usage) {

    /** How often each node was come to, and how often any was. */
    record Counts(Map<String, Integer> visits, long iterations) {}

    /**
     * A sub-graph that is being run.
     *
     * @param node the node that runs it
     * @param action which action of the node does so, its fallbacks counted from 1
     * @param graph the sub-graph's name
     * @param round how often the run has come to that node
     * @param position where it stands; what is used in it is what the node has used
     */
    record SubGraph(String node, int action, String graph, int round, Position position) {

        /** Whether it runs on the state around it, which then is to hear what it writes. */
        boolean isShared() {
            return position.written != null;
        }
    }

    /** What was written, or null where nobody is to know. */
    @Nullable
    UpdateLog log(Map<String, KeyStrategy> strategies) {
        return written == null ? null : UpdateLog.of(written, strategies);
    }

    boolean isAtEnd() {
        return node.equals(StateGraph.END);
    }

    /** Where the run waits. */
    List<Interrupt> interrupts() {
        List<Interrupt> found = new ArrayList<>();
        collect(List.of(), found);
        return List.copyOf(found);
    }

    private void collect(List<String> path, List<Interrupt> found) {
        if (interrupt == Interrupt.When.BEFORE && next != null) {
            found.add(new Interrupt(path, next, interrupt, state));
        } else if (interrupt == Interrupt.When.AFTER) {
            found.add(new Interrupt(path, node, interrupt, state));
        }
        branches.forEach(branch -> branch.collect(path, found));
        if (subGraph != null) {
            subGraph.position.collect(
                    Stream.concat(path.stream(), Stream.of(subGraph.node)).toList(), found);
        }
    }

    /** The same place, gone on from with an update: merged where the run waits, or if it waits nowhere, into its state. */
    Position resumed(Map<String, ?> update) {
        return resumed(update, !update.isEmpty() && (interrupts().isEmpty() || waitsOnItsState()));
    }

    /** Whether this part waits, or one that shares its state. */
    private boolean waitsOnItsState() {
        return interrupt != null
                || branches.stream().anyMatch(Position::waitsOnItsState)
                || subGraph != null && subGraph.isShared() && subGraph.position.waitsOnItsState();
    }

    private Position resumed(Map<String, ?> update, boolean takes) {
        SubGraph inner = subGraph == null
                ? null
                : new SubGraph(
                        subGraph.node,
                        subGraph.action,
                        subGraph.graph,
                        subGraph.round,
                        subGraph.position.resumed(
                                update,
                                subGraph.isShared()
                                        ? takes
                                        : !update.isEmpty() && subGraph.position.waitsOnItsState()));
        return new Position(
                node,
                next,
                afterChecked,
                beforeChecked || interrupt == Interrupt.When.BEFORE,
                null,
                state,
                takes ? Stream.concat(feedback.stream(), Stream.of(update)).toList() : feedback,
                written,
                counts,
                branches.stream().map(branch -> branch.resumed(update, takes)).toList(),
                inner,
                usage);
    }
}
