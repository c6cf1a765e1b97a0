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
 * JSON decoded by Spring AI's client. What is compared is the time that the client's threads had a processor, and what they
 * allocated, so the clients have a process of their own; the server is in this one.
 *
 * <p>It is no JMH benchmark: that measures the time that passes, and one way after the other. Here the client with the tap and
 * the one without take turns, operation by operation. Arguments: the result file, processes (5), turns of each (4),
 * milliseconds of a turn (700).
 */
public final class WireLoad {

    private static final List<String> READINGS = List.of("body", "decoded");

    private WireLoad() {}

    /** Measures, and writes the file. */
    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[0]);
        int processes = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 5;
        int turns = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 4;
        int millis = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 700;
        Samples samples = new Samples();
        try (ModelServer server = ModelServer.start();
                PrintWriter out =
                        new PrintWriter(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8)) {
            for (int process = 0; process < processes; process++) {
                for (Family family : Family.values()) {
                    for (String reading : READINGS) {
                        measure(samples, server, family, reading, process, turns, millis);
                    }
                }
                out.println("process %d of %d".formatted(process + 1, processes));
                out.println(samples.table());
                samples.write(file);
            }
        }
    }

    private static void measure(
            Samples samples, ModelServer server, Family family, String reading, int process, int turns, int millis)
            throws IOException {
        String benchmark = "Wire%s%s".formatted(capital(family.name()), capital(reading));
        try (ChildJvm client = ChildJvm.start(
                MeasuredClient.class,
                String.valueOf(server.port()),
                family.name(),
                reading,
                String.valueOf(turns),
                String.valueOf(millis))) {
            String begin = client.read();
            while (!begin.equals(MeasuredClient.BEGIN)) {
                begin = client.read();
            }
            for (String line = client.read(); !line.equals(MeasuredClient.END); line = client.read()) {
                String[] sample = line.split(" ");
                samples.addTurn(
                        benchmark,
                        "events",
                        Load.valueOf(sample[0]).events(),
                        sample[1],
                        process,
                        Double.parseDouble(sample[2]),
                        Double.parseDouble(sample[3]));
            }
        }
    }

    private static String capital(String word) {
        return word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1).toLowerCase(Locale.ROOT);
    }
}
