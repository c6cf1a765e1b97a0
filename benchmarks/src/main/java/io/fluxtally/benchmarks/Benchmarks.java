package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs benchmarks: JMH's own command line, with allocation measured always, and a result file that says on what machine it
 * was made.
 */
public final class Benchmarks {

    /** Options of JMH's after which it runs nothing. */
    private static final List<String> LISTS = List.of("-h", "-l", "-lp", "-lprof", "-lrf");

    private Benchmarks() {}

    /**
     * Runs what the arguments name.
     *
     * @param args those of JMH; {@code -rff} names the result file, and {@code -t} may name several numbers of threads
     * @throws Exception if a benchmark cannot be run, or the file cannot be written
     */
    public static void main(String[] args) throws Exception {
        if (Arrays.stream(args).anyMatch(LISTS::contains)) {
            org.openjdk.jmh.Main.main(args);
            return;
        }
        ObjectMapper json = new ObjectMapper();
        ArrayNode results = json.createArrayNode();
        Path file = Path.of("benchmarks.json");
        for (String[] one : byThreads(args)) {
            CommandLineOptions options = new CommandLineOptions(one);
            file = Path.of(options.getResult().orElse(file.toString()));
            results.addAll(run(options));
        }
        ObjectNode whole = json.createObjectNode();
        whole.set("machine", json.valueToTree(Machine.thisOne()));
        whole.set("results", results);
        json.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), whole);
    }

    /** The arguments once for each number of threads: {@code -t 1,2,4} is Fluxtally's, not JMH's. */
    static List<String[]> byThreads(String[] args) {
        int threads = Arrays.asList(args).indexOf("-t") + 1;
        if (threads == 0 || threads == args.length) {
            return List.<String[]>of(args);
        }
        return Arrays.stream(args[threads].split(","))
                .map(number -> {
                    String[] one = args.clone();
                    one[threads] = number;
                    return one;
                })
                .toList();
    }

    private static ArrayNode run(CommandLineOptions options) throws Exception {
        Path raw = Files.createTempFile("jmh", ".json");
        try {
            new Runner(new OptionsBuilder()
                            .parent(options)
                            .addProfiler(GCProfiler.class)
                            .result(raw.toString())
                            .resultFormat(ResultFormatType.JSON)
                            .build())
                    .run();
            ArrayNode results = (ArrayNode) new ObjectMapper().readTree(raw.toFile());
            // Where this machine has its JVM is no one's concern; which it is stands with the machine.
            results.forEach(result -> ((ObjectNode) result).remove("jvm"));
            return results;
        } finally {
            Files.deleteIfExists(raw);
        }
    }
}
