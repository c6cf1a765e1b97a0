package io.fluxtally.races;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/**
 * Runs jcstress over the races of this package. Each is run in JVMs of its own, since the outcomes depend on how the
 * actors are compiled.
 *
 * <p>A build runs the races that would break first, for a moment each. With {@code -Dfluxtally.races=MODE} it runs all of
 * them in all ways of compiling that jcstress knows, for as long as the mode says: {@code quick}, {@code default},
 * {@code tough} or {@code stress}.
 */
class RacesTest {

    private static final String MODE = System.getProperty("fluxtally.races", "");

    @Test
    @DisplayName("no two threads bring a tally or a join to an outcome that is not allowed")
    void races() throws Exception {
        assumeThat(Runtime.getRuntime().availableProcessors())
                .as("processors: actors on one have no race")
                .isGreaterThanOrEqualTo(2);
        Path folder = Files.createDirectories(Path.of("target", "jcstress"));
        Path output = folder.resolve("output.txt");

        Process hunt = new ProcessBuilder(command())
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(hunt.waitFor()).as(() -> read(output)).isZero();
        } finally {
            hunt.destroy();
        }

        assertThat(read(output))
                .contains("Failed tests: No matches.", "Error tests: No matches.")
                .contains("[OK] io.fluxtally.races.TallyRaces", "[OK] io.fluxtally.races.JoinRaces");
    }

    private static List<String> command() {
        // Surefire hands the class path to this JVM in a jar of its own, and says here what is in it.
        String classPath = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                classPath,
                "org.openjdk.jcstress.Main",
                "-v",
                "-r",
                "report" + File.separator));
        command.addAll(
                MODE.isEmpty()
                        ? List.of(
                                "-t", "BothEnd|BranchesAdd|RequestEnds|SameRequest$|SnapshotWhileAdding",
                                "-jvmArgs", "-Xmx256m",
                                "-sc", "false",
                                "-af", "NONE",
                                "-f", "1",
                                "-fsm", "1",
                                "-iters", "1",
                                "-time", "100",
                                "-hs", "32",
                                "-pth", "false")
                        : List.of("-m", MODE));
        return command;
    }

    private static String read(Path output) {
        try {
            return Files.readString(output);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
