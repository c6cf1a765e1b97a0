package io.fluxtally.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {

    @TempDir
    private Path folder;

    private static String result(String method, String chunks, String time, String timeError, String bytes) {
        return """
               {"benchmark": "io.fluxtally.benchmarks.graph.GraphChunks.%s", "params": {"chunks": "%s"},
                "primaryMetric": {"score": %s, "scoreError": %s, "scoreUnit": "us/op"},
                "secondaryMetrics": {"gc.alloc.rate.norm": {"score": %s, "scoreError": 3000, "scoreUnit": "B/op"}}}""".formatted(method, chunks, time, timeError, bytes);
    }

    private void results(String... results) throws Exception {
        Files.writeString(folder.resolve("some.json"), """
                {"machine": {"processor": "Abacus", "processors": 2, "memory": 23, "system": "Linux", "jvm": "HotSpot 17"},
                 "results": [%s]}""".formatted(String.join(",", results)));
    }

    @Test
    @DisplayName(
            "a page has the machine, a row for each parameter in order, bytes per unit, and ratios with their errors")
    void page() throws Exception {
        results(
                result("fluxtally", "10000", "2000", "60", "2000000"),
                result("fluxtally", "1000", "200", "20", "200000"),
                result("fluxtally", "100", "20", "\"NaN\"", "20000"),
                result("saa", "1000", "600", "400", "600000"),
                result("saa", "10000", "100000", "4000", "300000000"));

        assertThat(Report.of(folder)).endsWith("""

                        ## `some.json`

                        HotSpot 17; 2 processors: Abacus; 23 GiB; Linux.

                        ### GraphChunks

                        One node that streams what a model answers.

                        | chunks | fluxtally: µs | fluxtally: bytes per chunk | saa: µs | saa: bytes per chunk | time: saa / fluxtally | bytes: saa / fluxtally |
                        | --- | --- | --- | --- | --- | --- | --- |
                        | 100 | 20.0 (once) | 200 ± 30 |  |  |  |  |
                        | 1,000 | 200 ± 20 | 200 ± 3 | 600 ± 400 | 600 ± 3 | in the noise | 3.00 ± 0.05 |
                        | 10,000 | 2,000 ± 60 | 200 ± 0 | 100,000 ± 4,000 | 30,000 ± 0 | 50.0 ± 2.5 | 150 ± 0 |
                        """);
    }

    @Test
    @DisplayName("what stands beside a no-op is compared with it, in a table for each kind of stream")
    void noOp() throws Exception {
        results(
                result("fluxtally", "1000", "30", "0", "3000").replace("GraphChunks", "OperatorArray"),
                result("noOp", "1000", "10", "0", "0").replace("GraphChunks", "OperatorArray"),
                result("noOp", "1000", "20", "0", "0")
                        .replace("GraphChunks", "OperatorArray")
                        .replace("\"params\": {", "\"params\": {\"usage\": \"every\", "));

        assertThat(Report.of(folder))
                .contains("### OperatorArray\n")
                .contains(
                        "| chunks | fluxtally: µs | fluxtally: bytes per chunk | noOp: µs | noOp: bytes per chunk | time: fluxtally / noOp |")
                .contains("| 1,000 | 30.0 ± 0.0 | 3.00 ± 3.00 | 10.0 ± 0.0 | 0.000 ± 3.000 | 3.00 ± 0.00 |")
                .contains("### OperatorArray, usage: every\n")
                .contains("| 1,000 | 20.0 ± 0.0 | 0.000 ± 3.000 |");
    }

    @Test
    @DisplayName("threads that do different things have figures of their own, and what they counted is told")
    void threads() throws Exception {
        results("""
                {"benchmark": "io.fluxtally.benchmarks.tally.TallySnapshot.adders", "threads": 4,
                 "primaryMetric": {"score": 3, "scoreError": 1, "scoreUnit": "us/op"},
                 "secondaryMetrics": {"addersAdd": {"score": 2, "scoreError": 1, "scoreUnit": "us/op"},
                  "addersSnapshot": {"score": 6, "scoreError": 1, "scoreUnit": "us/op"},
                  "inconsistent": {"score": 1200.0, "scoreError": "NaN", "scoreUnit": "#"},
                  "gc.alloc.rate.norm": {"score": 48, "scoreError": 0, "scoreUnit": "B/op"}}}""");

        assertThat(Report.of(folder))
                .contains("| threads | addersAdd: µs | addersAdd: bytes per call | addersSnapshot: µs |")
                .contains("| 4 | 2.00 ± 1.00 | 48.0 ± 0.0 | 6.00 ± 1.00 | 48.0 ± 0.0 |")
                .endsWith("\n- adders: 1,200 inconsistent\n");
    }

    @Test
    @DisplayName("what took turns is compared turn by turn, the middle one of each pair of processes being one sample")
    void turns() throws Exception {
        String metric = "{\"score\": %s, \"scoreError\": 900, \"scoreUnit\": \"us/op\", \"turns\": %s}";
        String one = "{\"benchmark\": \"io.fluxtally.benchmarks.AppUnderLoad.%s\", \"params\": {\"requests\": \"10\"}, "
                + "\"primaryMetric\": %s, \"secondaryMetrics\": {\"gc.alloc.rate.norm\": %s}}";
        String off = metric.formatted("1000", "[[500, 1000, 900], [1500, 1100, 1000], [10, 20, 30]]");
        String on = metric.formatted("1100", "[[550, 1100, 9000], [1500, 1210, 1100], [11, 22, 33]]");
        results(
                one.formatted("off", off, off.replace("us/op", "B/op")),
                one.formatted("on", on, on.replace("us/op", "B/op")));

        assertThat(Report.of(folder))
                .contains("| 10 | 1,000 ± 900 | 100 ± 90 | 1,100 ± 900 | 110 ± 90 | 1.10 ± 0.00 | 1.10 ± 0.00 |");
    }

    @Test
    @DisplayName("live bytes have a table")
    void memory() throws Exception {
        Files.writeString(folder.resolve("memory.json"), """
                {"machine": {}, "memory": [{"what": "a run", "count": 10000, "score": 372.0, "scoreError": 0.4}]}""");

        assertThat(Report.of(folder)).contains("### Live bytes").endsWith("| a run | 10,000 | 372 ± 0 |\n");
    }

    @Test
    @DisplayName("a profile tells shares by package or method, with what the JDK does counted as its caller's")
    void profile() throws Exception {
        Path on = Files.writeString(folder.resolve("on.txt"), """
                java/lang/Thread.run_[0];io/some/Loop.run_[j];io/fluxtally/usage/Tap.onNext_[j];java/util/HashMap.get_[j];itable stub 30
                java/lang/Thread.run_[0];io/some/Loop.run_[j];io/fluxtally/usage/wire/Scan$Er.scan_[j] 20
                java/lang/Thread.run_[0];io/some/Loop.run_[j];/usr/lib/x86/libc.so.6 49
                java/lang/Thread.run_[0] 900
                io/fluxtally/benchmarks/App.main_[j] 1
                """);
        Path off = Files.writeString(folder.resolve("off.txt"), "io/some/Loop.run_[j] 7\nlibjvm.so;Compile::run 3\n");
        Profile.main(new String[] {
            folder.resolve("profile.json").toString(), "App", "package", "off=" + off, "on=" + on, "on=" + on
        });

        assertThat(Report.of(folder)).contains("### App, profiled").endsWith("""
                        | package | off | on |
                        | --- | --- | --- |
                        | `JVM` | 30.0 % | 90.0 % |
                        | `io.fluxtally` | 0.0 % | 5.0 % |
                        | `io.some` | 70.0 % | 4.9 % |
                        | samples | 10 | 2,000 |
                        """);
        Profile.main(
                new String[] {folder.resolve("profile.json").toString(), "App", "method", "off=" + off, "on=" + on});
        assertThat(Report.of(folder)).endsWith("""
                        | method | off | on |
                        | --- | --- | --- |
                        | `JVM` | 30.0 % | 90.0 % |
                        | `Loop.run` | 70.0 % | 4.9 % |
                        | `Scan$Er.scan` | 0.0 % | 2.0 % |
                        | `Tap.onNext` | 0.0 % | 3.0 % |
                        | samples | 10 | 1,000 |
                        """);
        assertThatThrownBy(() -> Profile.main(new String[] {"profile.json", "App", "package", "off"}))
                .hasMessage("a profile must be way=file, but is \"off\"");
    }

    @Test
    @DisplayName("benchmarks run once with each number of threads")
    void numbersOfThreads() {
        assertThat(Benchmarks.byThreads(new String[] {"Tally", "-t", "1,16", "-f", "1"}))
                .containsExactly(
                        new String[] {"Tally", "-t", "1", "-f", "1"}, new String[] {"Tally", "-t", "16", "-f", "1"});
        assertThat(Benchmarks.byThreads(new String[] {"Graph"})).containsExactly(new String[] {"Graph"});
    }

    @Test
    @DisplayName("times in another unit are refused, not mixed")
    void otherUnit() throws Exception {
        results(result("fluxtally", "1", "1", "1", "1").replace("us/op", "ms/op"));

        assertThatThrownBy(() -> Report.of(folder))
                .hasMessage(
                        "times must be in us/op, but those of io.fluxtally.benchmarks.graph.GraphChunks.fluxtally are in ms/op");
    }

    @Test
    @DisplayName("docs/benchmarks.md is what the results come to")
    void docs() throws Exception {
        assertThat(Files.readString(Path.of("..", "docs", "benchmarks.md"))).isEqualTo(Report.of(Path.of("results")));
    }
}
