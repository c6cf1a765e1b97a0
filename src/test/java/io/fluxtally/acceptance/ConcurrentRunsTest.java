package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;

@DisplayName("200 streams at once")
class ConcurrentRunsTest {

    private static final int STREAMS = 200;
    private static final Duration PATIENCE = Duration.ofSeconds(180);

    /** A run of the scenario, and what it was found to differ in from its bill. */
    private record Checked(String scenario, List<String> differences) {}

    @ParameterizedTest
    @EnumSource(Engine.class)
    @DisplayName("of all providers are each booked to their own run")
    void eachToItsOwnRun(Engine engine) {
        List<Scenario> scenarios = Scenarios.all().stream()
                .filter(scenario -> scenario.mode() == Mode.STREAM)
                .toList();
        List<LoopbackProvider> providers = new ArrayList<>();
        try {
            scenarios.forEach(scenario -> providers.add(LoopbackProvider.start(scenario)));

            List<Checked> runs = Flux.range(0, STREAMS)
                    .flatMap(
                            i -> {
                                Scenario scenario = scenarios.get(i % scenarios.size());
                                String baseUrl =
                                        providers.get(i % scenarios.size()).baseUrl("run" + i);
                                return engine.measured(scenario, baseUrl).map(run -> checked(scenario, run));
                            },
                            STREAMS)
                    .collectList()
                    .block(PATIENCE);

            assertThat(runs)
                    .hasSize(STREAMS)
                    .allSatisfy(run ->
                            assertThat(run.differences()).as(run.scenario()).isEmpty());
        } finally {
            providers.forEach(LoopbackProvider::close);
        }
    }

    private static Checked checked(Scenario scenario, AppRun run) {
        return new Checked(scenario.name(), BillCheck.differences(scenario.billed(), run.usage()));
    }
}
