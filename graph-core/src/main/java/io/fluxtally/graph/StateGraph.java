package io.fluxtally.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

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

    /** Where a run goes after a node: the names that the route gives, and the nodes that they stand for. */
    record Edge(
            Route route, Function<GraphState, ? extends @Nullable List<String>> names, Map<String, String> targets) {

        enum Route {
            PLAIN,
            ONE_OF,
            SOME_OF
        }

        static Edge to(List<String> nodes) {
            Map<String, String> targets = new LinkedHashMap<>();
            nodes.forEach(node -> targets.put(node, node));
            return new Edge(Route.PLAIN, state -> nodes, Collections.unmodifiableMap(targets));
        }

        /** Whether a run may go to several nodes at once. */
        boolean isParallel() {
            return route == Route.SOME_OF || route == Route.PLAIN && targets.size() > 1;
        }
    }

    /** A node's action and its settings. */
    record Node(NodeAction action, NodeConfig config) {

        /** The action, and behind it what runs instead. */
        List<NodeAction> actions() {
            return Stream.concat(Stream.of(action), config.fallbacks().stream()).toList();
        }
    }

    private final String name;
    private final Map<String, Node> nodes = new LinkedHashMap<>();
    private final Map<String, Edge> edges = new LinkedHashMap<>();
    private final Map<String, KeyStrategy> keyStrategies = new LinkedHashMap<>();

    /** An empty graph. */
    public StateGraph(String name) {
        this.name = Objects.requireNonNull(name, "name");
    }

    /** {@link #addNode(String, NodeAction, NodeConfig)} with the defaults. */
    public StateGraph addNode(String id, NodeAction action) {
        return addNode(id, action, NodeConfig.DEFAULT);
    }

    /**
     * Adds a node.
     *
     * @throws GraphDefinitionException if the id is taken, reserved or blank
     */
    public StateGraph addNode(String id, NodeAction action, NodeConfig config) {
        Node node = new Node(Objects.requireNonNull(action, "action"), Objects.requireNonNull(config, "config"));
        Objects.requireNonNull(id, "id");
        if (id.isBlank()) {
            throw new GraphDefinitionException(name, "a node id must not be blank, but is \"%s\"".formatted(id));
        }
        if (id.equals(START) || id.equals(END)) {
            throw new GraphDefinitionException(name, "node id \"%s\" is reserved".formatted(id));
        }
        if (nodes.putIfAbsent(id, node) != null) {
            throw new GraphDefinitionException(name, "node id \"%s\" is there twice".formatted(id));
        }
        return this;
    }

    /**
     * Adds an edge that a run takes from a node. Where several start at one node, it takes them all: each is the start of
     * a branch, and the branches run at once until the node where they all meet (their join), or the end if they meet
     * there. The join is entered once, when all are there.
     *
     * <p>Each branch sees the state as it was where it started, and what it wrote itself. At the join, what they wrote is
     * merged in the order in which their edges were added, whichever is done first. A key that is replaced
     * ({@link KeyStrategy#REPLACE}) may be written by one of them only: by two it is an error of the run.
     *
     * @throws GraphDefinitionException if the edge is there already, or the node has conditional ones
     */
    public StateGraph addEdge(String from, String to) {
        Objects.requireNonNull(from, "from");
        Objects.requireNonNull(to, "to");
        Edge there = edges.get(from);
        List<String> nodes = new ArrayList<>();
        if (there != null) {
            checkPlain(from, there);
            nodes.addAll(there.targets().values());
        }
        if (nodes.contains(to)) {
            throw new GraphDefinitionException(
                    name, "the edge from \"%s\" to \"%s\" is there twice".formatted(from, to));
        }
        nodes.add(to);
        edges.put(from, Edge.to(List.copyOf(nodes)));
        return this;
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
        Objects.requireNonNull(condition, "condition");
        return addConditionalEdges(
                from, Edge.Route.ONE_OF, state -> Collections.singletonList(condition.apply(state)), targets);
    }

    /**
     * Adds edges of which a run takes those that the route names, each the start of a branch as with several
     * {@linkplain #addEdge edges}. What the branches wrote is merged in the order in which the route names them. They meet
     * where all targets would meet, whichever are named; one that leads straight there is an empty branch.
     *
     * @param from the node they start at
     * @param route names one or more of the targets' keys, each at most once, given the state after the node
     * @param targets the nodes, by the names that the route gives them
     * @throws GraphDefinitionException if the node has an edge already
     */
    public StateGraph addParallelEdges(
            String from, Function<GraphState, List<String>> route, Map<String, String> targets) {
        return addConditionalEdges(from, Edge.Route.SOME_OF, Objects.requireNonNull(route, "route"), targets);
    }

    private StateGraph addConditionalEdges(
            String from,
            Edge.Route route,
            Function<GraphState, ? extends @Nullable List<String>> names,
            Map<String, String> targets) {
        Edge there = edges.get(Objects.requireNonNull(from, "from"));
        if (there != null) {
            checkPlain(from, there);
            throw new GraphDefinitionException(
                    name, "node \"%s\" has an edge already: conditional edges stand alone".formatted(from));
        }
        // Sorted, so that errors are the same each time.
        Map<String, String> sorted = Collections.unmodifiableMap(new TreeMap<>(Map.copyOf(targets)));
        edges.put(from, new Edge(route, names, sorted));
        return this;
    }

    private void checkPlain(String from, Edge there) {
        if (there.route() != Edge.Route.PLAIN) {
            throw new GraphDefinitionException(
                    name, "node \"%s\" has conditional edges already, which stand alone".formatted(from));
        }
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
     * @throws GraphDefinitionException if an edge leads nowhere, a node cannot be reached or never comes to the end, there
     *     is no way in or out, branches do not meet, a sub-graph that shares the state merges a key in another way, or an interrupt
     *     names no node
     */
    public CompiledGraph compile(CompileConfig config) {
        GraphValidation.check(name, nodes.keySet(), edges);
        GraphValidation.checkSubGraphs(name, nodes, keyStrategies);
        GraphValidation.checkInterrupts(name, nodes.keySet(), config);
        return new CompiledGraph(name, nodes, edges, Joins.of(name, edges), keyStrategies, config);
    }
}
