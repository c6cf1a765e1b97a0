package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** The codes name what was measured of the real clients against a loopback provider: DashScope's, OpenAI's, Anthropic's. */
@DisplayName("Every case that was ever measured, D01 to D27, O01 to O16, A01 and A02,")
class ScenarioCodesTest {

    /** A scenario has no slow consumer. */
    private static final Map<String, Class<?>> HELD_BY_A_TEST =
            Map.of("D19", SlowConsumerTest.class, "O11", SlowConsumerTest.class);

    private static final Pattern CODE = Pattern.compile("\\b[DOA][0-9]{2}(?=[a-z]?\\b)");

    @Test
    @DisplayName("is named by a starter scenario, or by a test where it cannot be one")
    void isNamed() {
        Set<String> unnamed = codes();
        Scenarios.names().stream().flatMap(name -> named(comment(name))).forEach(unnamed::remove);

        assertThat(unnamed).isEqualTo(HELD_BY_A_TEST.keySet());
        HELD_BY_A_TEST.forEach((code, test) -> assertThat(displayNames(test))
                .as(code)
                .anySatisfy(name -> assertThat(named(name)).contains(code)));
    }

    private static Set<String> codes() {
        Set<String> codes = new TreeSet<>();
        Map.of("D", 27, "O", 16, "A", 2)
                .forEach((letter, last) -> IntStream.rangeClosed(1, last)
                        .forEach(number -> codes.add("%s%02d".formatted(letter, number))));
        return codes;
    }

    private static Stream<String> named(String text) {
        return CODE.matcher(text).results().map(result -> result.group());
    }

    /** The comment that a scenario file begins with. */
    private static String comment(String scenario) {
        try (InputStream file = Scenarios.class.getResourceAsStream("scenarios/" + scenario + ".yaml")) {
            return String.join(
                    "\n",
                    new String(file.readAllBytes(), StandardCharsets.UTF_8)
                            .lines()
                            .takeWhile(line -> line.startsWith("#"))
                            .toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<String> displayNames(Class<?> test) {
        return Stream.of(test.getDeclaredMethods())
                .map((Method method) -> method.getAnnotation(DisplayName.class))
                .filter(name -> name != null)
                .map(DisplayName::value)
                .toList();
    }
}
