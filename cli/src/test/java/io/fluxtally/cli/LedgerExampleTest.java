package io.fluxtally.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("The page about the ledger's commands")
class LedgerExampleTest {

    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

    /** A command in a block of its own, and the block with its output after it. */
    private static final Pattern SAMPLE = Pattern.compile("```\n\\./fluxtally ([^`]*)\n```\\s+```\n([^`]*)```");

    /** What a report says that ends with status 1. */
    private static final Pattern NOT_EQUAL = Pattern.compile("differ\\.|AT_LEAST");

    @Test
    @DisplayName("shows what its commands print, from the root of a checkout")
    void samples() throws IOException {
        List<MatchResult> samples = SAMPLE.matcher(Files.readString(ROOT.resolve("examples/reconcile/README.md")))
                .results()
                .toList();

        assertThat(samples).hasSize(4);
        assertThat(samples).allSatisfy(sample -> {
            // The command runs where the test does: its paths are made to begin at the root.
            String[] args = Stream.of(
                            sample.group(1).replace("\\\n", " ").trim().split("\\s+"))
                    .map(arg -> arg.startsWith("examples/") ? ROOT.resolve(arg).toString() : arg)
                    .toArray(String[]::new);
            CommandRun run = CommandRun.of(args);

            assertThat(run.err()).isEmpty();
            assertThat(run.out().replace(System.lineSeparator(), "\n")).isEqualTo(sample.group(2));
            assertThat(run.status())
                    .isEqualTo(NOT_EQUAL.matcher(sample.group(2)).find() ? 1 : 0);
        });
    }
}
