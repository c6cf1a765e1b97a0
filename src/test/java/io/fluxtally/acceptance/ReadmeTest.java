package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@DisplayName("A page")
class ReadmeTest {

    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final Pattern JAVA_BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    private static final Pattern LINK = Pattern.compile("]\\(([^)#]+)(?:#[^)]*)?\\)");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "README.md",
                "graph-core/README.md",
                "spring-boot-starter/README.md",
                "docs/spring-ai-alibaba.md",
                "docs/spring-ai-alibaba.zh-CN.md"
            })
    @DisplayName("shows only code that stands in the examples, which the build compiles and runs")
    void quotesTheExamples(String page) throws IOException {
        String text = Files.readString(ROOT.resolve(page));
        List<String> examples;
        try (Stream<Path> files = Files.walk(ROOT.resolve("examples"))) {
            examples = files.filter(ReadmeTest::isExample)
                    .map(ReadmeTest::read)
                    .map(ReadmeTest::withoutIndent)
                    .toList();
        }

        List<String> blocks = JAVA_BLOCK
                .matcher(text)
                .results()
                .map(block -> withoutIndent(block.group(1)))
                .toList();

        assertThat(blocks).isNotEmpty();
        assertThat(blocks)
                .allSatisfy(block -> assertThat(examples)
                        .anySatisfy(example -> assertThat(example).contains(block)));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "README.md",
                "graph-core/README.md",
                "spring-boot-starter/README.md",
                "docs/spring-ai-alibaba.md",
                "docs/spring-ai-alibaba.zh-CN.md"
            })
    @DisplayName("links to files that are there")
    void links(String page) {
        Path file = ROOT.resolve(page);
        List<String> links = LINK.matcher(read(file))
                .results()
                .map(link -> link.group(1))
                .filter(link -> !link.startsWith("http"))
                .toList();

        assertThat(links).isNotEmpty();
        assertThat(links)
                .allSatisfy(link -> assertThat(file.resolveSibling(link)).exists());
    }

    @Test
    @DisplayName("comes to a streaming agent with a tool and its usage in fewer than 30 lines of code")
    void shortStart() {
        String page = read(ROOT.resolve("graph-core/README.md"));
        int start = page.indexOf("## From nothing to a streaming agent");
        String section = page.substring(start, page.indexOf("\n## ", start));

        long lines = JAVA_BLOCK
                .matcher(section)
                .results()
                .flatMap(block -> block.group(1).lines())
                .count();

        assertThat(section)
                .contains("ReactAgent.builder", "FunctionToolCallback", "stream(", "RunUsage", "usage.total()");
        assertThat(lines).isLessThan(30);
    }

    private static boolean isExample(Path file) {
        String name = file.toString().replace('\\', '/');
        return name.contains("/src/main/java/") && name.endsWith(".java");
    }

    private static String withoutIndent(String code) {
        return code.lines().map(String::strip).filter(line -> !line.isEmpty()).reduce("", (a, b) -> a + b + "\n");
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
