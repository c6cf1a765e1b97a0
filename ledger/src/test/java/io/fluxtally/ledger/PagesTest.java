package io.fluxtally.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.io.IOException;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("A page about ledgers")
class PagesTest {

    private static final Path DOCS = Path.of("../docs").toAbsolutePath().normalize();
    private static final Pattern JAVA_BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    private static final Pattern RESULT = Pattern.compile("cost\\.atLeast\\(\\);\\s+// (\\{[^}]*})");

    @TempDir
    private Path folder;

    private static final String IMPORTS = Stream.of(
                    "io.fluxtally.ledger",
                    "io.fluxtally.ledger.cost",
                    "io.fluxtally.ledger.jdbc",
                    "io.fluxtally.usage",
                    "io.fluxtally.usage.scope",
                    "java.nio.file",
                    "java.time",
                    "java.util")
            .map("import %s.*;"::formatted)
            .collect(Collectors.joining("\n"));

    /** What the pages take from the app around them. */
    private static final String SAMPLE = """
            %s
            public class Sample {

                UsageRecorder recorder;
                javax.sql.DataSource dataSource;
                Path spill;
                Instant from;
                Instant to;

                void block(RunScope run) {
                    %s
                }
            %s
            }
            """;

    private static List<String> blocks(String page) throws IOException {
        return JAVA_BLOCK
                .matcher(Files.readString(DOCS.resolve(page)))
                .results()
                .map(block -> block.group(1).replace("\n…\n", "\n"))
                .toList();
    }

    private void compile(String block, String more) throws IOException {
        Path source = Files.writeString(folder.resolve("Sample.java"), SAMPLE.formatted(IMPORTS, block, more));
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            boolean compiled = compiler.getTask(
                            messages,
                            files,
                            null,
                            List.of("-proc:none", "-cp", System.getProperty("java.class.path")),
                            null,
                            files.getJavaFileObjects(source))
                    .call();
            assertThat(compiled).as(messages + block).isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({"ledger.md, 2", "prices.md, 1"})
    @DisplayName("shows code that compiles")
    void compiles(String page, int count) throws IOException {
        List<String> blocks = blocks(page);

        assertThat(blocks).hasSize(count);
        for (String block : blocks) {
            compile(block, "");
        }
    }

    @Test
    @DisplayName("shows what a run costs by the example book")
    void costs() throws Exception {
        String block = blocks("prices.md").get(0);
        List<MatchResult> results = RESULT.matcher(block).results().toList();
        assertThat(results).hasSize(1);
        compile("", """
                public static String cost(RunScope run) {
                    %s
                    return String.valueOf(cost.atLeast());
                }
                """.formatted(
                        block.replace("\"docs/", "\"" + DOCS.toString().replace('\\', '/') + "/")));
        RunScope run = RunScope.start("run");
        RequestUsage request = RequestUsage.builder("r", Records.START)
                .provider("dashscope")
                .responseModel("qwen-plus")
                .usage(
                        TokenUsage.builder()
                                .inputTokens(130_000)
                                .part(TokenPart.CACHE_READ_INPUT, 0)
                                .part(TokenPart.REASONING_OUTPUT, 0)
                                .build(),
                        UsageSource.REPORTED)
                .build();
        UsageRecorder.withSinks().book(run, request);

        try (URLClassLoader classes =
                new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            Object cost = classes.loadClass("Sample")
                    .getMethod("cost", RunScope.class)
                    .invoke(null, run);

            assertThat(cost).isEqualTo(results.get(0).group(1));
        }
    }
}
