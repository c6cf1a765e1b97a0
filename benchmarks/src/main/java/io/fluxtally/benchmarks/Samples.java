package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.openjdk.jmh.util.ListStatistics;

/**
 * What a program that is no JMH benchmark measures, sample by sample, and the result file that it writes: in the shape of
 * JMH's, where a time is the time that the process had a processor. Not safe for use by several threads.
 */
public final class Samples {

    private static final double CONFIDENCE = 0.999;

    private record Key(String benchmark, String parameter, int value, String method) {}

    /** All samples, and of those that were measured in turns also the single ones, by process and in their order. */
    private record Measured(Metric micros, Metric bytes) {

        Measured() {
            this(new Metric(), new Metric());
        }
    }

    private static final class Metric {

        private final ListStatistics all = new ListStatistics();
        private final SortedMap<Integer, List<Double>> turns = new TreeMap<>();

        void addTurn(int process, double sample) {
            turns.computeIfAbsent(process, none -> new ArrayList<>()).add(sample);
        }

        double mean() {
            return all.getMean();
        }

        double error() {
            return all.getMeanErrorAt(CONFIDENCE);
        }
    }

    private final Map<Key, Measured> all = new LinkedHashMap<>();

    /** No samples yet. */
    public Samples() {}

    /**
     * Adds what one operation took.
     *
     * @param benchmark the name of the benchmark
     * @param parameter the name of its parameter: what an operation has so many of
     * @param value how many
     * @param method which of the ways that are compared
     */
    public void add(String benchmark, String parameter, int value, String method, double micros, double bytes) {
        added(new Key(benchmark, parameter, value, method), micros, bytes);
    }

    private Measured added(Key key, double micros, double bytes) {
        Measured measured = all.computeIfAbsent(key, none -> new Measured());
        measured.micros.all.addValue(micros);
        measured.bytes.all.addValue(bytes);
        return measured;
    }

    /**
     * Adds what one operation took in a process that takes turns with others, one for each way: the sample is to be compared
     * with the one that another way has in the same place.
     *
     * @param benchmark the name of the benchmark
     * @param parameter the name of its parameter: what an operation has so many of
     * @param value how many
     * @param method which of the ways that are compared
     * @param process which of the way's processes, from 0
     */
    public void addTurn(
            String benchmark, String parameter, int value, String method, int process, double micros, double bytes) {
        Measured measured = added(new Key(benchmark, parameter, value, method), micros, bytes);
        measured.micros.addTurn(process, micros);
        measured.bytes.addTurn(process, bytes);
    }

    /** A table of all, each against the first way of the same benchmark. */
    public String table() {
        StringBuilder table = new StringBuilder();
        Map<String, Measured> firsts = new LinkedHashMap<>();
        all.forEach((key, measured) -> {
            Measured first = firsts.computeIfAbsent(key.benchmark + key.value, none -> measured);
            table.append(String.format(
                    Locale.ROOT,
                    "%-22s %,9d %-10s %9.3f ± %5.3f µs of a processor and %,9.1f bytes for each of them, x %.3f, %+,9.1f bytes%n",
                    key.benchmark,
                    key.value,
                    key.method,
                    measured.micros.mean() / key.value,
                    measured.micros.error() / key.value,
                    measured.bytes.mean() / key.value,
                    measured.micros.mean() / first.micros.mean(),
                    (measured.bytes.mean() - first.bytes.mean()) / key.value));
        });
        return table.toString();
    }

    /**
     * Writes the file.
     *
     * @throws IOException if that fails
     */
    public void write(Path file) throws IOException {
        ObjectMapper json = new ObjectMapper();
        ObjectNode whole = json.createObjectNode();
        whole.set("machine", json.valueToTree(Machine.thisOne()));
        ArrayNode results = whole.putArray("results");
        all.forEach((key, measured) -> {
            ObjectNode result = results.addObject();
            result.put("benchmark", "io.fluxtally.benchmarks.%s.%s".formatted(key.benchmark, key.method));
            result.putObject("params").put(key.parameter, String.valueOf(key.value));
            metric(result.putObject("primaryMetric"), measured.micros, "us/op");
            metric(result.putObject("secondaryMetrics").putObject("gc.alloc.rate.norm"), measured.bytes, "B/op");
        });
        json.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), whole);
    }

    private static void metric(ObjectNode metric, Metric samples, String unit) {
        metric.put("score", samples.mean());
        double error = samples.error();
        if (Double.isNaN(error)) {
            metric.put("scoreError", "NaN");
        } else {
            metric.put("scoreError", error);
        }
        metric.put("scoreUnit", unit);
        metric.put("samples", samples.all.getN());
        if (!samples.turns.isEmpty()) {
            ArrayNode processes = metric.putArray("turns");
            for (List<Double> turns : samples.turns.values()) {
                turns.forEach(processes.addArray()::add);
            }
        }
    }
}
