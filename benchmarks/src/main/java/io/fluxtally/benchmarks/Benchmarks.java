package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
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
     * @param args those of JMH; {@code -rff} names the result file
     * @throws Exception if a benchmark cannot be run, or the file cannot be written
     */
    public static void main(String[] args) throws Exception {
        if (Arrays.stream(args).anyMatch(LISTS::contains)) {
            org.openjdk.jmh.Main.main(args);
            return;
        }
        CommandLineOptions options = new CommandLineOptions(args);
        Path file = Path.of(options.getResult().orElse("benchmarks.json"));
        Path raw = Files.createTempFile("jmh", ".json");
        try {
            new Runner(new OptionsBuilder()
                            .parent(options)
                            .addProfiler(GCProfiler.class)
                            .result(raw.toString())
                            .resultFormat(ResultFormatType.JSON)
                            .build())
                    .run();
            ObjectMapper json = new ObjectMapper();
            ObjectNode whole = json.createObjectNode();
            whole.set("machine", json.valueToTree(Machine.thisOne()));
            whole.set("results", json.readTree(raw.toFile()));
            json.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), whole);
        } finally {
            Files.deleteIfExists(raw);
        }
    }
}
