package io.fluxtally.graph;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSum;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A compiled graph as text that draws it: {@code graph.drawing().mermaid()}, and after a run with what each node used,
 * {@code graph.drawing().with(end.runUsage()).plantUml()}.
 *
 * <p>Plain edges are solid, several from one node where branches begin; conditional ones are dotted and labelled with what the
 * condition names. Names are escaped, so they
 * may be any text. Immutable.
 */
public final class GraphDrawing {

    private final String name;
    private final @Nullable String agent;
    private final List<String> nodes;
    private final List<Arrow> arrows;
    private final @Nullable RunUsage usage;
    private final Map<String, String> ids = new HashMap<>();
    private final Map<String, UsageSum> sums;

    /** Where a run may go; the label is that of a condition. */
    private record Arrow(String from, String to, @Nullable String label) {}

    private GraphDrawing(
            String name, @Nullable String agent, List<String> nodes, List<Arrow> arrows, @Nullable RunUsage usage) {
        this.name = name;
        this.agent = agent;
        this.nodes = nodes;
        this.arrows = arrows;
        this.usage = usage;
        this.sums = usage == null ? Map.of() : byNode(usage, agent);
        // Names that any syntax takes: a node's own may be a keyword.
        ids.put(StateGraph.START, "start");
        ids.put(StateGraph.END, "finish");
        for (String node : nodes) {
            ids.put(node, "n" + (ids.size() - 1));
        }
    }

    static GraphDrawing of(
            String name, @Nullable String agent, Collection<String> nodes, Map<String, StateGraph.Edge> edges) {
        List<String> sources = new ArrayList<>(List.of(StateGraph.START));
        sources.addAll(nodes);
        List<Arrow> arrows = new ArrayList<>();
        for (String from : sources) {
            StateGraph.Edge edge = edges.get(from);
            if (edge != null) {
                boolean plain = edge.route() == StateGraph.Edge.Route.PLAIN;
                edge.targets()
                        .forEach((choice, to) ->
                                arrows.add(new Arrow(from, to, plain || choice.isBlank() ? null : choice)));
            }
        }
        return new GraphDrawing(name, agent, List.copyOf(nodes), List.copyOf(arrows), null);
    }

    /**
     * The same drawing with the tokens of a run: those of each node, over all its executions, at the node, and the run's
     * total in the title. A figure that is not all is marked as incomplete.
     *
     * <p>Requests find their node by the names of node and agent. What a graph inside a node used is at the nodes of that
     * graph, and here in the total.
     */
    public GraphDrawing with(RunUsage ofRun) {
        return new GraphDrawing(name, agent, nodes, arrows, ofRun);
    }

    /** The drawing as a Mermaid flowchart. */
    public String mermaid() {
        StringBuilder text = new StringBuilder("---\ntitle: \"");
        // A YAML string, which knows other escapes than the chart below it.
        text.append(escaped(title(), "\\U%08X"::formatted)).append("\"\n---\nflowchart TD\n");
        IntFunction<String> escape = "#%d;"::formatted;
        text.append("    start([\"start\"])\n");
        for (String node : nodes) {
            text.append("    %s[\"%s\"]\n".formatted(id(node), label(node, "<br/>", escape)));
        }
        text.append("    finish([\"end\"])\n");
        for (Arrow arrow : arrows) {
            String line = arrow.label == null ? "-->" : "-.->|\"%s\"|".formatted(escaped(arrow.label, escape));
            text.append("    %s %s %s\n".formatted(id(arrow.from), line, id(arrow.to)));
        }
        return text.toString();
    }

    /** The drawing as a PlantUML state diagram. */
    public String plantUml() {
        IntFunction<String> escape = "<U+%04X>"::formatted;
        StringBuilder text = new StringBuilder("@startuml\ntitle ");
        text.append(escaped(title(), escape)).append("\nhide empty description\n");
        for (String node : nodes) {
            text.append("state \"%s\" as %s\n".formatted(label(node, "\\n", escape), id(node)));
        }
        for (Arrow arrow : arrows) {
            text.append("%s %s %s"
                    .formatted(
                            plantUmlEnd(arrow.from),
                            arrow.label == null ? "-->" : "-[dotted]->",
                            plantUmlEnd(arrow.to)));
            text.append(arrow.label == null ? "\n" : " : %s\n".formatted(escaped(arrow.label, escape)));
        }
        return text.append("@enduml\n").toString();
    }

    private String plantUmlEnd(String node) {
        return node.equals(StateGraph.START) || node.equals(StateGraph.END) ? "[*]" : id(node);
    }

    private String id(String node) {
        return Objects.requireNonNull(ids.get(node), node);
    }

    private String title() {
        return usage == null ? name : name + ", " + figures(usage.sum(), usage.isComplete());
    }

    private String label(String node, String lineBreak, IntFunction<String> escape) {
        UsageSum sum = sums.getOrDefault(node, UsageSum.EMPTY);
        String text = escaped(node, escape);
        return sum.requests() == 0 ? text : text + lineBreak + escaped(figures(sum, sum.isComplete()), escape);
    }

    private static Map<String, UsageSum> byNode(RunUsage ofRun, @Nullable String agent) {
        Map<String, UsageSum> sums = new HashMap<>();
        for (RequestUsage request : ofRun.requests()) {
            if (request.node() != null && (agent == null || agent.equals(request.agent()))) {
                sums.merge(request.node(), UsageSum.EMPTY.plus(request), (sum, one) -> sum.plus(request));
            }
        }
        return sums;
    }

    private static String figures(UsageSum sum, boolean complete) {
        if (sum.isUnknown()) {
            return "tokens not reported";
        }
        return "input %d, output %d, total %d%s"
                .formatted(
                        sum.total().inputTokens(),
                        sum.total().outputTokens(),
                        sum.total().totalTokens(),
                        complete ? "" : ", incomplete");
    }

    /**
     * A text of which nothing means anything to the syntax around it: all is escaped but letters, digits, single marks
     * behind them that are plain everywhere, and single spaces.
     */
    private static String escaped(String text, IntFunction<String> escape) {
        StringBuilder escaped = new StringBuilder();
        int previous = ' ';
        for (int c : text.codePoints().toArray()) {
            boolean plain = Character.isLetterOrDigit(c)
                    || (c == ' ' && previous != ' ')
                    || ("_-,".indexOf(c) >= 0 && Character.isLetterOrDigit(previous));
            escaped.append(plain ? Character.toString(c) : escape.apply(c));
            previous = c;
        }
        return escaped.toString();
    }
}
