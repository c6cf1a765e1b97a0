package io.fluxtally.graph;

/** A graph is not one that can run. */
public final class GraphDefinitionException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    GraphDefinitionException(String graph, String problem) {
        super("graph \"%s\": %s".formatted(graph, problem));
    }
}
