package io.fluxtally.graph;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The definition of a graph: nodes, the edges between them, and how each key of the state is merged.
 *
 * <pre>{@code
 * CompiledGraph graph = new StateGraph("greeting")
 *         .addNode("greet", (state, run) -> NodeResult.update("text", "Hello"))
 *         .addEdge(StateGraph.START, "greet")
 *         .addEdge("greet", StateGraph.END)
 *         .compile();
 * }</pre>
 *
 * <p>Not safe for use by several threads; what {@link #compile} makes of it is.
 */
public final class StateGraph {

    /** Where every run begins: the source of the first edge. */
    public static final String START = "__START__";

    /** Where a run ends: the target of the last edge. */
    public static final String END = "__END__";

    /** Where a run goes after a node. */
    record Edge(Function<GraphState, String> condition, Map<String, String> targets) {

        private static final String ONLY = "";

        static Edge to(String target) {
            return new Edge(state -> ONLY, Map.of(ONLY, target));
        }
    }

    private final String name;
    private final Map<String, NodeAction> nodes = new LinkedHashMap<>();
    private final Map<String, Edge> edges = new LinkedHashMap<>();
    private final Map<String, KeyStrategy> keyStrategies = new LinkedHashMap<>();

    /** An empty graph. */
    public StateGraph(String name) {
        this.name = Objects.requireNonNull(name, "name");
    }

    /**
     * Adds a node.
     *
     * @throws GraphDefinitionException if the id is taken or reserved
     */
    public StateGraph addNode(String id, NodeAction action) {
        Objects.requireNonNull(action, "action");
        if (id.equals(START) || id.equals(END)) {
            throw new GraphDefinitionException(name, "node id \"%s\" is reserved".formatted(id));
        }
        if (nodes.putIfAbsent(id, action) != null) {
            throw new GraphDefinitionException(name, "node id \"%s\" is there twice".formatted(id));
        }
        return this;
    }

    /**
     * Adds the edge that a run takes from a node.
     *
     * @throws GraphDefinitionException if the node has an edge already
     */
    public StateGraph addEdge(String from, String to) {
        return addEdge(from, Edge.to(Objects.requireNonNull(to, "to")));
    }

    /**
     * Adds edges of which a run takes the one that the condition names.
     *
     * @param from the node they start at
     * @param condition names one of the targets' keys, given the state after the node
     * @param targets the nodes, by the names that the condition gives them
     * @throws GraphDefinitionException if the node has an edge already
     */
    public StateGraph addConditionalEdges(
            String from, Function<GraphState, String> condition, Map<String, String> targets) {
        // Sorted, so that errors are the same each time.
        Map<String, String> sorted = Collections.unmodifiableMap(new TreeMap<>(Map.copyOf(targets)));
        return addEdge(from, new Edge(Objects.requireNonNull(condition, "condition"), sorted));
    }

    private StateGraph addEdge(String from, Edge edge) {
        if (edges.putIfAbsent(Objects.requireNonNull(from, "from"), edge) != null) {
            throw new GraphDefinitionException(
                    name, "node \"%s\" has an edge already; use conditional edges to choose".formatted(from));
        }
        return this;
    }

    /**
     * Sets how updates of a key are merged; {@link KeyStrategy#REPLACE} unless set.
     *
     * @throws GraphDefinitionException if the key is reserved
     */
    public StateGraph keyStrategy(String key, KeyStrategy strategy) {
        GraphValidation.checkKey(name, key);
        keyStrategies.put(key, Objects.requireNonNull(strategy, "strategy"));
        return this;
    }

    /** {@link #compile(CompileConfig)} with the defaults. */
    public CompiledGraph compile() {
        return compile(CompileConfig.DEFAULT);
    }

    /**
     * Makes a graph that can run, of what is defined so far.
     *
     * @throws GraphDefinitionException if an edge leads nowhere, a node cannot be reached, or there is no way in or out
     */
    public CompiledGraph compile(CompileConfig config) {
        GraphValidation.check(name, nodes.keySet(), edges);
        return new CompiledGraph(name, nodes, edges, keyStrategies, config);
    }
}
