package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Turns result files into a page: every figure on it is one of a file, or the ratio of two. */
public final class Report {

    private static final String ALLOCATION = "gc.alloc.rate.norm";

    /** What each benchmark runs. */
    private static final Map<String, String> RUNS = Map.of(
            "GraphAgent", "An agent that asks for a tool in every round but the last, streamed.",
            "GraphBranches", "Branches side by side, each of which asks a model once, and their join.",
            "GraphChunks", "One node that streams what a model answers.",
            "GraphManyChunks", "The same, with more chunks.",
            "GraphManyRounds", "The same as `GraphRounds`, with more rounds than Spring AI Alibaba's graph can have.",
            "GraphRounds", "One node that the run comes to again and again, and that asks a model each time.");

    /** A figure and half the width of the interval in which it lies, which is not a number if it was measured once. */
    record Figure(double score, double error) {

        Figure per(double count) {
            return new Figure(score / count, error / count);
        }

        /** To the first order: the errors of two runs have nothing to do with each other. */
        Figure dividedBy(Figure other) {
            double ratio = score / other.score;
            return new Figure(ratio, ratio * Math.hypot(error / score, other.error / other.score));
        }

        @Override
        public String toString() {
            return Double.isNaN(error)
                    ? rounded(score, score) + " (once)"
                    : "%s ± %s".formatted(rounded(score, score), rounded(error, score));
        }

        /** With as many digits as a figure of that size needs. */
        private static String rounded(double value, double size) {
            int digits = size < 1 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0;
            return String.format(Locale.ROOT, "%,." + digits + "f", value);
        }
    }

    /** What one method of a benchmark came to: its time, in microseconds, and the bytes that it allocated. */
    record Result(Figure time, Figure bytes) {}

    /** A benchmark: its results by the value of its parameter, and by method. */
    record Benchmark(String unit, Map<Integer, Map<String, Result>> rows) {}

    private Report() {}

    /**
     * Writes the page.
     *
     * @param args the folder of the result files, and the page
     * @throws IOException if a file cannot be read or written
     */
    public static void main(String[] args) throws IOException {
        Files.writeString(Path.of(args[1]), of(Path.of(args[0])));
    }

    /** The page of a folder's result files, in the order of their names. */
    static String of(Path folder) throws IOException {
        StringBuilder page = new StringBuilder("""
                # Benchmarks

                Written by `io.fluxtally.benchmarks.Report` from the files in `benchmarks/results/`; `benchmarks/README.md` says how to make
                both anew. Times depend on the machine and on what else it does: read them as ratios within one file. Bytes hardly do.
                A figure is given with the half width of its 99.9 % interval; a ratio with what follows from those of its two figures,
                or as in the noise if that is more than half of it.
                `fluxtally` is graph-core, `saa` is Spring AI Alibaba 1.1.2.2; both ask the same model, whose answers are ready.
                """);
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".json"))
                    .sorted()
                    .toList()) {
                append(page, file);
            }
        }
        return page.toString();
    }

    private static void append(StringBuilder page, Path file) throws IOException {
        JsonNode whole = new ObjectMapper().readTree(file.toFile());
        JsonNode machine = whole.path("machine");
        page.append("\n## `%s`\n\n".formatted(file.getFileName()));
        page.append("%s; %d processors: %s; %d GiB; %s.\n"
                .formatted(
                        machine.path("jvm").asText(),
                        machine.path("processors").asInt(),
                        machine.path("processor").asText(),
                        machine.path("memory").asLong(),
                        machine.path("system").asText()));
        benchmarks(whole.path("results")).forEach((name, benchmark) -> append(page, name, benchmark));
    }

    private static Map<String, Benchmark> benchmarks(JsonNode results) {
        Map<String, Benchmark> benchmarks = new TreeMap<>();
        for (JsonNode result : results) {
            String[] path = result.path("benchmark").asText().split("\\.");
            Map.Entry<String, JsonNode> parameter =
                    result.path("params").properties().iterator().next();
            JsonNode primary = result.path("primaryMetric");
            String unit = primary.path("scoreUnit").asText();
            if (!unit.equals("us/op")) {
                throw new IllegalArgumentException("times must be in us/op, but those of %s are in %s"
                        .formatted(result.path("benchmark").asText(), unit));
            }
            benchmarks
                    .computeIfAbsent(path[path.length - 2], none -> new Benchmark(parameter.getKey(), new TreeMap<>()))
                    .rows()
                    .computeIfAbsent(parameter.getValue().asInt(), none -> new LinkedHashMap<>())
                    .put(
                            path[path.length - 1],
                            new Result(
                                    figure(primary),
                                    figure(result.path("secondaryMetrics").path(ALLOCATION))));
        }
        return benchmarks;
    }

    private static Figure figure(JsonNode metric) {
        // JMH writes the error of a single figure as the text "NaN".
        return new Figure(
                metric.path("score").asDouble(), metric.path("scoreError").asDouble(Double.NaN));
    }

    private static void append(StringBuilder page, String name, Benchmark benchmark) {
        String each = benchmark.unit().replaceAll("(e?)s$", benchmark.unit().endsWith("ches") ? "" : "$1");
        page.append("\n### %s\n\n".formatted(name));
        if (RUNS.containsKey(name)) {
            page.append(RUNS.get(name)).append("\n\n");
        }
        List<String> methods = benchmark.rows().values().stream()
                .flatMap(row -> row.keySet().stream())
                .distinct()
                .toList();
        List<String> head = new ArrayList<>(List.of(benchmark.unit()));
        for (String method : methods) {
            head.add("%s: µs".formatted(method));
            head.add("%s: bytes per %s".formatted(method, each));
        }
        for (String method : methods.subList(1, methods.size())) {
            head.add("time: %s / %s".formatted(method, methods.get(0)));
            head.add("bytes: %s / %s".formatted(method, methods.get(0)));
        }
        line(page, head);
        line(page, head.stream().map(column -> "---").toList());
        benchmark.rows().forEach((value, row) -> {
            List<String> cells = new ArrayList<>(List.of(String.format(Locale.ROOT, "%,d", value)));
            for (String method : methods) {
                Result result = row.get(method);
                cells.add(result == null ? "" : result.time().toString());
                cells.add(result == null ? "" : result.bytes().per(value).toString());
            }
            Result first = row.get(methods.get(0));
            for (String method : methods.subList(1, methods.size())) {
                Result result = row.get(method);
                cells.add(ratio(result == null ? null : result.time(), first == null ? null : first.time()));
                cells.add(ratio(result == null ? null : result.bytes(), first == null ? null : first.bytes()));
            }
            line(page, cells);
        });
    }

    private static String ratio(@Nullable Figure one, @Nullable Figure other) {
        if (one == null || other == null) {
            return "";
        }
        Figure ratio = one.dividedBy(other);
        return ratio.error() > ratio.score() / 2 ? "in the noise" : ratio.toString();
    }

    private static void line(StringBuilder page, List<String> cells) {
        page.append("| ").append(String.join(" | ", cells)).append(" |\n");
    }
}
