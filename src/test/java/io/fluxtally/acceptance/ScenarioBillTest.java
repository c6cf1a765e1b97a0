package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.fail;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

@DisplayName("Every starter scenario")
class ScenarioBillTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    static Stream<Arguments> scenariosByEngine() {
        return Scenarios.all().stream()
                .flatMap(scenario -> Stream.of(Engine.values())
                        .map(engine ->
                                Arguments.argumentSet(scenario.name() + " on " + engine.word(), scenario, engine)));
    }

    @ParameterizedTest
    @MethodSource("scenariosByEngine")
    @DisplayName("agrees with its bill")
    void agreesWithItsBill(Scenario scenario, Engine engine) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            AppRun run = engine.measured(scenario, provider.baseUrl()).block(PATIENCE);
            List<String> differences = BillCheck.differences(scenario.billed(), run.usage());
            if (!differences.isEmpty()) {
                fail(
                        "%s%n  app error: %s%n  counted: %s",
                        String.join(System.lineSeparator(), differences),
                        run.error(),
                        run.usage().requests());
            }
        }
    }
}
