package io.fluxtally.boot;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.runs.UsageRuns;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.util.ClassUtils;

@DisplayName("On every class path, an app")
class ClassPathTest {

    private static final AutoConfigurations OURS = AutoConfigurations.of(
            ImportCandidates.load(AutoConfiguration.class, ClassPathTest.class.getClassLoader())
                    .getCandidates()
                    .stream()
                    .filter(name -> name.startsWith("io.fluxtally."))
                    .map(name -> ClassUtils.resolveClassName(name, null))
                    .toArray(Class<?>[]::new));

    @Test
    @DisplayName("starts, by its conditions: in all combinations of the optional libraries")
    void everyCombination() {
        // Spring AI brings Micrometer, and the ledger alone asks for JDBC: these two are absent one at a time, below.
        OptionalLibrary[] libraries = EnumSet.complementOf(
                        EnumSet.of(OptionalLibrary.MICROMETER, OptionalLibrary.SPRING_JDBC))
                .toArray(OptionalLibrary[]::new);
        for (int bits = 0; bits < 1 << libraries.length; bits++) {
            Set<OptionalLibrary> absent = EnumSet.noneOf(OptionalLibrary.class);
            for (int index = 0; index < libraries.length; index++) {
                if ((bits >> index & 1) == 1) {
                    absent.add(libraries[index]);
                }
            }
            String[] packages = absent.stream()
                    .flatMap(library -> library.packages().stream())
                    .toArray(String[]::new);
            new ApplicationContextRunner()
                    .withClassLoader(new FilteredClassLoader(packages))
                    .withConfiguration(OURS)
                    .run(app -> assertThat(app)
                            .as("without %s", absent)
                            .hasNotFailed()
                            .hasSingleBean(UsageRuns.class));
        }
    }

    static Stream<Set<OptionalLibrary>> absentJars() {
        return Stream.concat(
                Stream.of(EnumSet.noneOf(OptionalLibrary.class), EnumSet.allOf(OptionalLibrary.class)),
                Arrays.stream(OptionalLibrary.values())
                        .flatMap(library -> Stream.of(EnumSet.of(library), EnumSet.complementOf(EnumSet.of(library)))));
    }

    @ParameterizedTest(name = "without {0}")
    @MethodSource("absentJars")
    @DisplayName("starts, without the jars themselves, in a Java of its own")
    void realClassPath(Set<OptionalLibrary> absent) throws IOException, InterruptedException {
        List<String> classPath = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            // A client's own auto-configuration needs all that the client needs.
            if (!isOfAClient(entry) && absent.stream().noneMatch(library -> library.isIn(entry))) {
                classPath.add(entry);
            }
        }
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        Process app = new ProcessBuilder(
                        java.toString(),
                        "-Xshare:auto",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        String.join(File.pathSeparator, classPath),
                        MinimalApp.class.getName())
                .redirectErrorStream(true)
                .start();
        try {
            String output = new String(app.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(app.waitFor(2, TimeUnit.MINUTES)).isTrue();
            assertThat(output)
                    .contains("started with fluxtallyUsageRuns")
                    .doesNotContain("NoClassDefFoundError", " WARN ", " ERROR ");
            assertThat(app.exitValue()).isZero();
        } finally {
            app.destroyForcibly();
        }
    }

    private static boolean isOfAClient(String entry) {
        return entry.contains("spring-ai-autoconfigure-") || entry.contains("spring-ai-alibaba-autoconfigure-");
    }

    @ParameterizedTest
    @EnumSource
    @DisplayName("is really tested without the library")
    void jarIsOnTheClassPath(OptionalLibrary library) {
        assertThat(System.getProperty("java.class.path").split(File.pathSeparator))
                .anyMatch(library::isIn);
    }

    /** An app with nothing of its own. */
    @SpringBootConfiguration
    @EnableAutoConfiguration
    static class MinimalApp {

        public static void main(String[] args) {
            SpringApplication app = new SpringApplication(MinimalApp.class);
            app.setWebApplicationType(org.springframework.boot.WebApplicationType.NONE);
            try (ConfigurableApplicationContext context = app.run()) {
                System.out.println("started with " + context.getBeanNamesForType(UsageRuns.class)[0]);
            }
        }
    }
}
