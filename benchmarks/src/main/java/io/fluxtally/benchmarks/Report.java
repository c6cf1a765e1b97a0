package io.fluxtally.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.util.ListStatistics;

/** Turns result files into a page: every figure on it is one of a file, or the ratio of two. */
public final class Report {

    private static final double CONFIDENCE = 0.999;
    private static final String ALLOCATION = "gc.alloc.rate.norm";
    private static final String MICROSECONDS = "us/op";

    /** What the rows of a benchmark without a parameter are. */
    private static final String THREADS = "threads";

    private static final String WIRE =
            "The time is the one that the client's threads had a processor, with the tap and without by turns in one "
                    + "process; the ratio is the middle one of those of neighbours, with the spread over processes. 50,000 events are "
                    + "100 streams at once, other numbers one stream.";

    /** The least share of the samples that there is a row for. */
    private static final double LARGE_SHARE = 0.01;

    private static final String PROFILE =
            "The shares of the samples of CPU profiles, by whose code was running or had called the JDK's; what has less than a "
                    + "hundredth in each is left out.";

    /** What each benchmark runs. */
    private static final Map<String, String> RUNS = Map.ofEntries(
            Map.entry(
                    "AppUnderLoad",
                    "A Spring Boot app whose agent runs a tool and streams its answer, at the same rate with Fluxtally on and off: the time "
                            + "that its process had a processor. The two took turns: a ratio is that of a turn with the one beside it, "
                            + "the middle one of each pair of processes, with the spread over these pairs."),
            Map.entry("WireDashscopeBody", "The bytes of streams in DashScope's form, and no more. " + WIRE),
            Map.entry("WireDashscopeDecoded", "Streams in DashScope's form, read by its client. " + WIRE),
            Map.entry("WireOpenaiBody", "The bytes of streams in OpenAI's form, and no more. " + WIRE),
            Map.entry("WireOpenaiDecoded", "Streams in OpenAI's form, read by Spring AI's client. " + WIRE),
            Map.entry("GraphAgent", "An agent that asks for a tool in every round but the last, streamed."),
            Map.entry("GraphBranches", "Branches side by side, each of which asks a model once, and their join."),
            Map.entry("GraphChunks", "One node that streams what a model answers."),
            Map.entry("GraphManyChunks", "The same, with more chunks."),
            Map.entry(
                    "GraphManyRounds",
                    "The same as `GraphRounds`, with more rounds than Spring AI Alibaba's graph can have."),
            Map.entry(
                    "GraphRounds", "One node that the run comes to again and again, and that asks a model each time."),
            Map.entry("OperatorArray", "A stream of chunks that are there, in a loop; its source can be fused."),
            Map.entry("OperatorDecoded", "A stream whose chunks are each made of 300 bytes of JSON."),
            Map.entry(
                    "OperatorFusedPublishOn",
                    "A `publishOn` that pulls from its source, unless what stands between prevents it."),
            Map.entry("OperatorIterable", "A stream of chunks that are there; its source cannot be fused."),
            Map.entry("OperatorPublishOn", "A `publishOn` behind a source that cannot be fused."),
            Map.entry("OperatorSink", "A unicast sink that is fed one chunk after the other."),
            Map.entry(
                    "TallyAdd",
                    "One more request of a run that so many threads add to. `fluxtally` and `lockedSame` keep the requests and take each once, the others add up alone."),
            Map.entry(
                    "TallySnapshot",
                    "The same, with three threads that add and one that looks; a snapshot is inconsistent if its total is not input and output."));

    /** What the others of a benchmark are compared with: the first of these that it has, else its first. */
    private static final List<String> BASES = List.of("noOp", "fluxtally");

    /** A figure and half the width of the interval in which it lies, which is not a number if it was measured once. */
    record Figure(double score, double error, List<List<Double>> turns) {

        Figure(double score, double error) {
            this(score, error, List.of());
        }

        Figure per(double count) {
            return new Figure(score / count, error / count);
        }

        /**
         * Turn by turn, where both took turns, since what disturbed one disturbed the one beside it. Each process or pair of them is one
         * sample, whatever the number of its turns: they are not independent. Else to the first order: the errors of two
         * runs have nothing to do with each other.
         */
        Figure dividedBy(Figure other) {
            if (!turns.isEmpty() && !other.turns.isEmpty()) {
                ListStatistics ratios = new ListStatistics();
                for (int process = 0; process < turns.size(); process++) {
                    ratios.addValue(ratio(turns.get(process), other.turns.get(process)));
                }
                return new Figure(ratios.getMean(), ratios.getMeanErrorAt(CONFIDENCE));
            }
            double ratio = score / other.score;
            return new Figure(ratio, ratio * Math.hypot(error / score, other.error / other.score));
        }

        /** The middle one of the ratios of neighbours: a compilation in one turn is not what is asked for. */
        private static double ratio(List<Double> ones, List<Double> others) {
            ListStatistics ratios = new ListStatistics();
            for (int turn = 0; turn < ones.size(); turn++) {
                ratios.addValue(ones.get(turn) / others.get(turn));
            }
            return ratios.getPercentile(50);
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

    /** A benchmark: its results by the value of its parameter, and by method. And what it counted, by method. */
    record Benchmark(String unit, Map<Integer, Map<String, Result>> rows, Map<String, String> counts) {}

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
                `fluxtally` is graph-core, `saa` is Spring AI Alibaba 1.1.2.2, `langgraph4j` is LangGraph4j 1.8.17; all ask the same model, whose answers are ready.
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
        appendMemory(page, whole.path("memory"));
        whole.path("profiles").forEach(profile -> appendProfile(page, profile));
    }

    private static Map<String, Benchmark> benchmarks(JsonNode results) {
        Map<String, Benchmark> benchmarks = new TreeMap<>();
        for (JsonNode result : results) {
            String[] path = result.path("benchmark").asText().split("\\.");
            String method = path[path.length - 1];
            // The parameter that is a number is that of the rows; others make a table of their own.
            StringBuilder name = new StringBuilder(path[path.length - 2]);
            String unit = THREADS;
            int value = result.path("threads").asInt();
            for (Map.Entry<String, JsonNode> parameter : result.path("params").properties()) {
                String text = parameter.getValue().asText();
                if (text.chars().allMatch(Character::isDigit)) {
                    unit = parameter.getKey();
                    value = Integer.parseInt(text);
                } else {
                    name.append(", %s: %s".formatted(parameter.getKey(), text));
                }
            }
            String rows = unit;
            Benchmark benchmark = benchmarks.computeIfAbsent(
                    name.toString(), none -> new Benchmark(rows, new TreeMap<>(), new TreeMap<>()));
            Map<String, Result> row = benchmark.rows().computeIfAbsent(value, none -> new LinkedHashMap<>());
            Figure bytes = figure(result.path("secondaryMetrics").path(ALLOCATION));
            boolean isGroup = false;
            for (Map.Entry<String, JsonNode> metric :
                    result.path("secondaryMetrics").properties()) {
                String unitOfMetric = metric.getValue().path("scoreUnit").asText();
                if (unitOfMetric.equals("#")) {
                    benchmark.counts().merge(method, counted(metric), "%s, %s"::formatted);
                } else if (unitOfMetric.equals(MICROSECONDS)) {
                    isGroup = true;
                    row.put(metric.getKey(), new Result(time(result, metric.getValue()), bytes));
                }
            }
            if (!isGroup) {
                row.put(method, new Result(time(result, result.path("primaryMetric")), bytes));
            }
        }
        return benchmarks;
    }

    private static String counted(Map.Entry<String, JsonNode> metric) {
        return String.format(
                Locale.ROOT, "%,.0f %s", metric.getValue().path("score").asDouble(), metric.getKey());
    }

    private static Figure time(JsonNode result, JsonNode metric) {
        String unit = metric.path("scoreUnit").asText();
        if (!unit.equals(MICROSECONDS)) {
            throw new IllegalArgumentException("times must be in us/op, but those of %s are in %s"
                    .formatted(result.path("benchmark").asText(), unit));
        }
        return figure(metric);
    }

    private static Figure figure(JsonNode metric) {
        // JMH writes the error of a single figure as the text "NaN".
        List<List<Double>> turns = new ArrayList<>();
        for (JsonNode process : metric.path("turns")) {
            List<Double> ofOne = new ArrayList<>();
            process.forEach(turn -> ofOne.add(turn.asDouble()));
            turns.add(ofOne);
        }
        return new Figure(
                metric.path("score").asDouble(), metric.path("scoreError").asDouble(Double.NaN), turns);
    }

    private static void append(StringBuilder page, String name, Benchmark benchmark) {
        boolean byThreads = benchmark.unit().equals(THREADS);
        String each = byThreads
                ? "call"
                : benchmark.unit().replaceAll("(e?)s$", benchmark.unit().endsWith("ches") ? "" : "$1");
        page.append("\n### %s\n\n".formatted(name));
        String described = name.replaceFirst(",.*", "");
        if (RUNS.containsKey(described)) {
            page.append(RUNS.get(described)).append("\n\n");
        }
        List<String> methods = benchmark.rows().values().stream()
                .flatMap(row -> row.keySet().stream())
                .distinct()
                .toList();
        String base = BASES.stream().filter(methods::contains).findFirst().orElse(methods.get(0));
        boolean comparesBytes = !base.equals("noOp");
        // What threads do that do different things is not to be compared.
        List<String> others = benchmark.counts().isEmpty()
                ? methods.stream().filter(method -> !method.equals(base)).toList()
                : List.of();
        List<String> head = new ArrayList<>(List.of(benchmark.unit()));
        for (String method : methods) {
            head.add("%s: µs".formatted(method));
            head.add("%s: bytes per %s".formatted(method, each));
        }
        for (String method : others) {
            head.add("time: %s / %s".formatted(method, base));
            if (comparesBytes) {
                head.add("bytes: %s / %s".formatted(method, base));
            }
        }
        line(page, head);
        line(page, head.stream().map(column -> "---").toList());
        benchmark.rows().forEach((value, row) -> {
            List<String> cells = new ArrayList<>(List.of(String.format(Locale.ROOT, "%,d", value)));
            for (String method : methods) {
                Result result = row.get(method);
                cells.add(result == null ? "" : result.time().toString());
                cells.add(
                        result == null
                                ? ""
                                : result.bytes().per(byThreads ? 1 : value).toString());
            }
            Result first = row.get(base);
            for (String method : others) {
                Result result = row.get(method);
                cells.add(ratio(result == null ? null : result.time(), first == null ? null : first.time()));
                if (comparesBytes) {
                    cells.add(ratio(result == null ? null : result.bytes(), first == null ? null : first.bytes()));
                }
            }
            line(page, cells);
        });
        if (!benchmark.counts().isEmpty()) {
            page.append("\n");
            benchmark.counts().forEach((method, counts) -> page.append("- %s: %s\n".formatted(method, counts)));
        }
    }

    private static void appendMemory(StringBuilder page, JsonNode memory) {
        if (memory.isEmpty()) {
            return;
        }
        page.append("\n### Live bytes\n\nWhat the heap holds more after a garbage collection, by each of so many.\n\n");
        line(page, List.of("what", "how many", "bytes of each"));
        line(page, List.of("---", "---", "---"));
        for (JsonNode figure : memory) {
            String count =
                    String.format(Locale.ROOT, "%,d", figure.path("count").asInt());
            line(
                    page,
                    List.of(figure.path("what").asText(), count, figure(figure).toString()));
        }
    }

    /** In whose code the samples are, as shares of those of a way; what nowhere has many of them is left out. */
    private static void appendProfile(StringBuilder page, JsonNode profile) {
        page.append(
                "\n### %s, profiled\n\n%s\n\n".formatted(profile.path("what").asText(), PROFILE));
        List<String> head = new ArrayList<>(List.of(profile.path("by").asText()));
        List<String> samples = new ArrayList<>(List.of("samples"));
        Map<String, Map<String, Double>> shares = new TreeMap<>();
        for (JsonNode way : profile.path("ways")) {
            String name = way.path("way").asText();
            long all = way.path("samples").asLong();
            head.add(name);
            samples.add(String.format(Locale.ROOT, "%,d", all));
            way.path("parts")
                    .properties()
                    .forEach(owner -> shares.computeIfAbsent(owner.getKey(), none -> new TreeMap<>())
                            .put(name, owner.getValue().asDouble() / all));
        }
        line(page, head);
        line(page, head.stream().map(column -> "---").toList());
        shares.forEach((owner, share) -> {
            if (Collections.max(share.values()) >= LARGE_SHARE) {
                List<String> cells = new ArrayList<>(List.of("`%s`".formatted(owner)));
                for (String way : head.subList(1, head.size())) {
                    cells.add(String.format(Locale.ROOT, "%.1f %%", 100 * share.getOrDefault(way, 0.0)));
                }
                line(page, cells);
            }
        });
        line(page, samples);
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
