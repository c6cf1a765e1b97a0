package io.fluxtally.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScenariosTest {

    @Test
    void theIndexListsEveryFileOnce() throws Exception {
        Path folder = Path.of(Scenarios.class.getResource("scenarios/index.txt").toURI())
                .getParent();
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(Scenarios.names())
                    .doesNotHaveDuplicates()
                    .containsExactlyInAnyOrderElementsOf(
                            files.map(file -> file.getFileName().toString())
                                    .filter(name -> name.endsWith(".yaml"))
                                    .map(name -> name.substring(0, name.length() - ".yaml".length()))
                                    .toList());
        }
    }

    @Test
    void theOrderIsThatOfTheNames() {
        assertThat(Scenarios.all()).extracting(Scenario::name).isEqualTo(Scenarios.names());
    }

    @Test
    void anUnknownNameIsRefused() {
        assertThatThrownBy(() -> Scenarios.load("../package-info"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("dashscope-plain-stream")
                .hasMessageEndingWith("but is \"../package-info\"");
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.conformance.Scenarios#all")
    void aBillAddsUp(Scenario scenario) {
        Bill bill = scenario.billed();
        List<BilledRequest> requests = bill.requests();

        assertThat(requests).hasSameSizeAs(scenario.responses());
        assertThat(bill.complete())
                .isEqualTo(requests.stream().allMatch(request -> request.source() == UsageSource.REPORTED));
        assertThat(bill.total().states(TokenKey.INPUT_TOKENS)).isTrue();
        for (TokenKey key : bill.total().stated().keySet()) {
            long[] reported = requests.stream()
                    .map(request -> request.figures().get(key))
                    .flatMapToLong(OptionalLong::stream)
                    .toArray();
            assertThat(bill.total().get(key))
                    .as(key.word())
                    .isEqualTo(
                            reported.length == 0
                                    ? OptionalLong.empty()
                                    : LongStream.of(reported).reduce(Long::sum));
        }
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.conformance.Scenarios#all")
    void everyBilledResponseIdIsOnTheWire(Scenario scenario) {
        List<BilledRequest> requests = scenario.billed().requests();
        for (int i = 0; i < requests.size(); i++) {
            assertThat(scenario.responses().get(i).body())
                    .contains("\"" + requests.get(i).responseId() + "\"");
        }
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.conformance.Scenarios#all")
    void theSeedExampleIsBilledToTheToken(Scenario scenario) {
        if (scenario.name().startsWith("dashscope-three-rounds")) {
            assertThat(scenario.billed().total().get(TokenKey.INPUT_TOKENS)).hasValue(19_000);
            assertThat(scenario.billed().total().get(TokenKey.OUTPUT_TOKENS)).hasValue(7_500);
            assertThat(scenario.billed().total().get(TokenKey.TOTAL_TOKENS)).hasValue(26_500);
        }
    }
}
