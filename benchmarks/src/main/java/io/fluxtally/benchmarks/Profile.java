package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Makes a result file of CPU profiles: in whose code the samples are, by package or by method. What the JDK and the JVM do counts as that
 * of the innermost code of somebody else that called it, and what nobody else called as the JVM's.
 *
 * <p>Arguments: the result file, the name of what was profiled, {@code package} or {@code method}, and {@code way=file} for each profile, which is of collapsed
 * stacks as async-profiler writes them; a way may have several.
 */
public final class Profile {

    private static final String JVM = "JVM";
    private static final String OWN = "io.fluxtally";
    private static final String BENCHMARKS = Profile.class.getPackageName();
    private static final List<String> JDK = List.of("java/", "javax/", "jdk/", "sun/", "com/sun/");

    private static final String PACKAGE = "package";
    private static final String METHOD = "method";

    /** What the samples of one way are counted by. */
    private final String part;

    private final Map<String, Long> samples = new TreeMap<>();

    private Profile(String part) {
        this.part = part;
    }

    /**
     * Writes the file.
     *
     * @throws IOException if a file cannot be read or written
     */
    public static void main(String[] arguments) throws IOException {
        String part = arguments[2];
        if (!part.equals(PACKAGE) && !part.equals(METHOD)) {
            throw new IllegalArgumentException(
                    "samples are counted by %s or %s, not by \"%s\"".formatted(PACKAGE, METHOD, part));
        }
        Map<String, Profile> ways = new TreeMap<>();
        for (String argument : List.of(arguments).subList(3, arguments.length)) {
            String[] wayAndFile = argument.split("=", 2);
            if (wayAndFile.length < 2) {
                throw new IllegalArgumentException("a profile must be way=file, but is \"%s\"".formatted(argument));
            }
            ways.computeIfAbsent(wayAndFile[0], none -> new Profile(part)).add(Path.of(wayAndFile[1]));
        }
        ObjectMapper json = new ObjectMapper();
        ObjectNode whole = json.createObjectNode();
        whole.set("machine", json.valueToTree(Machine.thisOne()));
        ObjectNode profile = whole.putArray("profiles").addObject();
        profile.put("what", arguments[1]);
        profile.put("by", part);
        ArrayNode array = profile.putArray("ways");
        ways.forEach((way, samples) -> samples.write(array.addObject().put("way", way)));
        json.writerWithDefaultPrettyPrinter().writeValue(Path.of(arguments[0]).toFile(), whole);
    }

    private void add(Path file) throws IOException {
        try (Stream<String> lines = Files.lines(file)) {
            lines.filter(line -> line.contains(" ")).forEach(this::add);
        }
    }

    /** Adds a line: frames from the outermost on, and how many samples there were of them. */
    private void add(String line) {
        int blank = line.lastIndexOf(' ');
        samples.merge(owner(line.substring(0, blank).split(";")), Long.parseLong(line.substring(blank + 1)), Long::sum);
    }

    /** The package or the method of the innermost frame that is not the JDK's; Fluxtally's packages are one. */
    private String owner(String... frames) {
        for (int i = frames.length - 1; i >= 0; i--) {
            String frame = frames[i];
            int method = frame.indexOf('.');
            int name = method < 0 ? -1 : frame.lastIndexOf('/', method);
            if (name > 0 && frame.charAt(0) != '/' && JDK.stream().noneMatch(frame::startsWith)) {
                if (part.equals(METHOD)) {
                    // Behind it is how it was compiled.
                    return frame.substring(name + 1).replaceFirst("_\\[.*", "");
                }
                String owner = frame.substring(0, name).replace('/', '.');
                return owner.startsWith(OWN) && !owner.startsWith(BENCHMARKS) ? OWN : owner;
            }
        }
        return JVM;
    }

    private void write(ObjectNode json) {
        json.put("samples", samples.values().stream().mapToLong(Long::longValue).sum());
        ObjectNode parts = json.putObject("parts");
        samples.entrySet().stream()
                .sorted(Map.Entry.<String, Long>comparingByValue(Comparator.reverseOrder())
                        .thenComparing(Map.Entry.comparingByKey()))
                .forEach(entry -> parts.put(entry.getKey(), entry.getValue()));
    }
}
