package io.fluxtally.benchmarks.wire;

import io.fluxtally.benchmarks.ChildJvm;
import io.fluxtally.benchmarks.Samples;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The wire tap beside the same client without it: a real {@code WebClient} that reads streams over loopback, alone or with the
 * JSON decoded by Spring AI's client. What is compared is the time that the client's process had a processor, and what it
 * allocated, so the client has a process of its own; the server is in this one.
 *
 * <p>It is no JMH benchmark: that measures the time that passes, and one way after the other. Here processes with and without
 * take turns. Arguments: the result file, rounds (4), samples of each load in a round (4), milliseconds of a sample (500).
 */
public final class WireLoad {

    private static final List<String> READINGS = List.of("body", "decoded");
    private static final List<String> METHODS = List.of("plain", "tapped");

    private WireLoad() {}

    /** Measures, and writes the file. */
    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[0]);
        int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 4;
        int samples = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 4;
        int millis = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 500;
        Samples all = new Samples();
        try (ModelServer server = ModelServer.start();
                PrintWriter out =
                        new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8)) {
            for (int round = 1; round <= rounds; round++) {
                for (Family family : Family.values()) {
                    for (String reading : READINGS) {
                        for (String method : METHODS) {
                            measure(all, server, family, reading, method, samples, millis);
                        }
                    }
                }
                out.println("round %d of %d".formatted(round, rounds));
                out.println(all.table());
                all.write(file);
            }
        }
    }

    private static void measure(
            Samples all, ModelServer server, Family family, String reading, String method, int samples, int millis)
            throws IOException {
        String name = "Wire%s%s".formatted(capital(family.name()), capital(reading));
        try (ChildJvm client = ChildJvm.start(
                MeasuredClient.class,
                String.valueOf(server.port()),
                family.name(),
                reading,
                method,
                String.valueOf(samples),
                String.valueOf(millis))) {
            for (int i = 0; i < samples * Load.values().length; i++) {
                String[] sample = client.read().split(" ");
                all.add(
                        name,
                        "events",
                        Load.valueOf(sample[0]).events(),
                        method,
                        Double.parseDouble(sample[1]),
                        Double.parseDouble(sample[2]));
            }
        }
    }

    private static String capital(String word) {
        return word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1).toLowerCase(Locale.ROOT);
    }
}
