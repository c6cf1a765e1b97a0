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
