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

    /** Places whose numbers are kept as reported, each with the name that they are kept under. */
    private final Map<String, String> reported;

    private final Node root = new Node("");

    private FieldPaths(List<String> paths, Map<String, String> reported) {
        this.paths = List.copyOf(paths);
        this.reported = Map.copyOf(reported);
        this.paths.forEach(path -> node(path).wanted = true);
        this.reported.forEach((path, name) -> node(path).reportAs(name));
    }

    /**
     * The given places: field names joined by dots, {@code []} for the elements of an array.
     *
     * @throws IllegalArgumentException if a path has an empty name in it
     */
    public static FieldPaths of(String... paths) {
        return new FieldPaths(List.of(paths), Map.of());
    }

    /**
     * These places and more.
     *
     * @throws IllegalArgumentException if a path has an empty name in it
     */
    public FieldPaths and(Collection<String> more) {
        List<String> all = new ArrayList<>(paths);
        all.addAll(more);
        return new FieldPaths(all, reported);
    }

    /**
     * These places, and that the numbers in one are kept as the provider reports them, whether they are wanted or not.
     *
     * @throws IllegalArgumentException if the path has an empty name in it
     */
    public FieldPaths reporting(String path) {
        return reporting(path, path);
    }

    /**
     * These places, and that the numbers in one are kept as the provider reports them under another name: that of a place
     * which says the same in another event.
     *
     * @throws IllegalArgumentException if the path has an empty name in it
     */
    public FieldPaths reporting(String path, String name) {
        Map<String, String> all = new HashMap<>(reported);
        all.put(path, name);
        return new FieldPaths(paths, all);
    }

    private Node node(String path) {
        Node node = root;
        for (String step : path.replace("[]", ".[]").split("\\.", -1)) {
            if (step.isEmpty()) {
                throw new IllegalArgumentException(
                        "a path is names joined by dots, none of them empty, but is \"%s\"".formatted(path));
            }
            node = node.child(step);
        }
        return node;
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
        private @Nullable String reportedName;
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

        /** The name that the numbers at this place or in it are kept under as reported, or null if they are not. */
        public @Nullable String reportedName() {
            return reportedName;
        }

        private void reportAs(String name) {
            reportedName = name;
            children.forEach((field, node) -> node.reportAs(name + '.' + field));
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
