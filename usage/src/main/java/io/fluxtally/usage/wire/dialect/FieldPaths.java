package io.fluxtally.usage.wire.dialect;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The places in a JSON document that a {@link Dialect} wants to see, such as {@code usage.input_tokens} or
 * {@code choices[].finish_reason}. Everything else is skipped.
 *
 * <p>Immutable and safe for use by any number of threads.
 */
public final class FieldPaths {

    private final List<String> paths;
    private final Node root = new Node("");

    private FieldPaths(List<String> paths) {
        this.paths = List.copyOf(paths);
        this.paths.forEach(this::want);
    }

    /**
     * The given places: field names joined by dots, {@code []} for the elements of an array.
     *
     * @throws IllegalArgumentException if a path has an empty name in it
     */
    public static FieldPaths of(String... paths) {
        return new FieldPaths(List.of(paths));
    }

    /**
     * These places and more.
     *
     * @throws IllegalArgumentException if a path has an empty name in it
     */
    public FieldPaths and(Collection<String> more) {
        List<String> all = new ArrayList<>(paths);
        all.addAll(more);
        return new FieldPaths(all);
    }

    private void want(String path) {
        Node node = root;
        for (String step : path.replace("[]", ".[]").split("\\.", -1)) {
            if (step.isEmpty()) {
                throw new IllegalArgumentException(
                        "a path is names joined by dots, none of them empty, but is \"%s\"".formatted(path));
            }
            node = node.child(step);
        }
        node.wanted = true;
    }

    /** The document itself. */
    public Node root() {
        return root;
    }

    /** A place in the document, and the wanted ones inside it. */
    public static final class Node {

        private static final String ELEMENT = "[]";

        private final String path;
        private boolean wanted;
        private final Map<String, Node> children = new HashMap<>();

        /** Apart from the fields, one of which may be named like it. */
        private @Nullable Node element;

        private Node(String path) {
            this.path = path;
        }

        /** The path of this place. */
        public String path() {
            return path;
        }

        /** Whether this place itself is wanted, and not only one inside it. */
        public boolean isWanted() {
            return wanted;
        }

        /** The place of a field, or null if nothing in it is wanted. */
        public @Nullable Node field(String name) {
            return children.get(name);
        }

        /** The place of the elements of an array, or null if nothing in them is wanted. */
        public @Nullable Node element() {
            return element;
        }

        private Node child(String step) {
            if (step.equals(ELEMENT)) {
                Node elements = element;
                if (elements == null) {
                    elements = new Node(path + ELEMENT);
                    element = elements;
                }
                return elements;
            }
            return children.computeIfAbsent(step, name -> new Node(path.isEmpty() ? name : path + '.' + name));
        }
    }
}
