package io.fluxtally.conformance.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.usage.UsageSource;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@DisplayName("The writer of scenario files")
class ScenarioWriterTest {

    static List<Scenario> starterScenarios() {
        return Scenarios.all();
    }

    private static Scenario readBack(Scenario scenario, String... comment) {
        return ScenarioReader.read("written.yaml", ScenarioWriter.write(scenario, List.of(comment)));
    }

    static Scenario ofBody(String body) {
        return new Scenario(
                "any",
                Family.OPENAI,
                Client.OPENAI,
                Mode.STREAM,
                List.of(),
                Map.of(),
                null,
                List.of(Response.of(body)),
                new Bill(false, Figures.NONE, null));
    }

    @ParameterizedTest
    @MethodSource("starterScenarios")
    @DisplayName("writes what the reader reads back as the same scenario")
    void readsBack(Scenario scenario) {
        assertThat(readBack(scenario)).isEqualTo(scenario);
    }

    @Test
    @DisplayName("keeps every key of the format, and text that looks like something else")
    void everyKey() {
        Map<String, @Nullable Object> options = new LinkedHashMap<>();
        options.put("n", 2L);
        options.put("temperature", 0.5);
        options.put("deep", Map.of("on", true, "list", List.of("1", "null", "yes")));
        options.put("none", null);
        Scenario scenario = new Scenario(
                "true",
                Family.OLLAMA,
                Client.DEEPSEEK,
                Mode.CALL,
                List.of("null", "12"),
                options,
                3,
                List.of(
                        new Response(429, Map.of("retry-after", "2"), "", End.RESET),
                        Response.of("1.5").endingWith(End.HANG)),
                new Bill(
                        false,
                        new Figures(Map.of(TokenKey.INPUT_TOKENS, OptionalLong.empty())),
                        List.of(
                                new BilledRequest("7", UsageSource.PARTIAL, Figures.NONE),
                                new BilledRequest(null, null, Figures.NONE))));

        assertThat(readBack(scenario)).isEqualTo(scenario);
    }

    @Test
    @DisplayName("puts comments on top, each of their lines as a comment")
    void comments() {
        Scenario scenario = ofBody("data: one\n\ndata: two\n\n");

        String file = ScenarioWriter.write(scenario, List.of("for people\nname: none", "and more"));

        assertThat(file).startsWith("# for people\n# name: none\n# and more\nname: any\n");
        assertThat(ScenarioReader.read("written.yaml", file)).isEqualTo(scenario);
    }

    @Test
    @DisplayName("writes a body line by line, so that people can read it")
    void readable() {
        assertThat(ScenarioWriter.write(ofBody("data: {\"文\":1}\n\ndata: [DONE]\n\n"), List.of())
                        .lines())
                .contains("  - body: |+", "      data: {\"文\":1}", "      data: [DONE]");
    }
}
