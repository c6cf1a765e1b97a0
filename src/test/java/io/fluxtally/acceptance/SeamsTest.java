package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.BillCheck;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.engine.Seam;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestUsage;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every scenario at every set of seams: one owner a request, whoever else is there to hear it. */
@Tag("every-spring-ai")
class SeamsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** A client's own retry after an error that leaves the bill open: only the wire has seen the first attempt. */
    private static final Set<String> RETRIED_INSIDE = Set.of("openai-gateway-timeout-then-call");

    static Stream<Arguments> withTheWireTap() {
        return scenariosBySeams().filter(seams -> seams.contains(Seam.WIRE_TAP)).flatMap(SeamsTest::scenarios);
    }

    static Stream<Arguments> withoutTheWireTap() {
        return scenariosBySeams()
                .filter(seams -> !seams.contains(Seam.WIRE_TAP))
                .flatMap(SeamsTest::scenarios);
    }

    private static Stream<Set<Seam>> scenariosBySeams() {
        Seam[] all = Seam.values();
        return IntStream.range(1, 1 << all.length).mapToObj(bits -> {
            Set<Seam> seams = EnumSet.noneOf(Seam.class);
            for (Seam seam : all) {
                if ((bits & 1 << seam.ordinal()) != 0) {
                    seams.add(seam);
                }
            }
            return seams;
        });
    }

    private static Stream<Arguments> scenarios(Set<Seam> seams) {
        return Scenarios.all().stream()
                .map(scenario -> Arguments.argumentSet(scenario.name() + " at " + seams, scenario, seams));
    }

    @ParameterizedTest
    @MethodSource
    @DisplayName("with the wire tap, each request is booked once and the bill is met, alone and beside the others")
    void withTheWireTap(Scenario scenario, Set<Seam> seams) {
        AppRun run = run(scenario, seams);

        assertThat(BillCheck.differences(scenario.billed(), run.usage()))
                .as(() -> run.usage().requests().toString())
                .isEmpty();
    }

    @ParameterizedTest
    @MethodSource
    @DisplayName("without the wire tap, never more than the bill is counted, and what is called complete is the bill")
    void withoutTheWireTap(Scenario scenario, Set<Seam> seams) {
        AppRun run = run(scenario, seams);

        assertThat(run.usage().requests()).extracting(RequestUsage::requestId).doesNotHaveDuplicates();
        if (scenario.mode() == Mode.CALL && !seams.contains(Seam.DECORATOR)) {
            assertThat(run.usage().requests())
                    .as("a blocking call passes the operator")
                    .isEmpty();
            return;
        }
        assertThat(run.usage().requests()).isNotEmpty();
        if (run.usage().isComplete() && !RETRIED_INSIDE.contains(scenario.name())) {
            assertThat(BillCheck.differences(scenario.billed(), run.usage()))
                    .filteredOn(difference -> difference.matches("(complete|total\\.(in|out|to).*):.*"))
                    .isEmpty();
        }
        assertAtMost(scenario, TokenKey.INPUT_TOKENS, run.usage().total().inputTokens());
        assertAtMost(scenario, TokenKey.OUTPUT_TOKENS, run.usage().total().outputTokens());
        assertAtMost(scenario, TokenKey.TOTAL_TOKENS, run.usage().total().totalTokens());
    }

    private static void assertAtMost(Scenario scenario, TokenKey key, long counted) {
        assertThat(counted)
                .as(key.word())
                .isLessThanOrEqualTo(scenario.billed().total().get(key).orElse(0));
    }

    private static AppRun run(Scenario scenario, Set<Seam> seams) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            return Engine.MODEL.measured(scenario, provider.baseUrl(), seams).block(PATIENCE);
        }
    }
}
