package io.fluxtally.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.UsageSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScenariosTest {

    /** A timeout, or a gateway without an answer: whether the model had worked is not known. */
    private static final Set<Integer> OPEN = Set.of(408, 499, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527);

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

        assertThat(requests).hasSameSizeAs(billable(scenario));
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
                            requests.isEmpty() && !isPart(key)
                                    ? OptionalLong.of(0)
                                    : LongStream.of(reported).reduce(Long::sum));
        }
    }

    /** The responses that the bill lists: all of them, or all but those of an error status. */
    private static List<Response> billable(Scenario scenario) {
        List<Response> all = scenario.responses();
        return scenario.billed().requests().size() == all.size()
                ? all
                : all.stream().filter(response -> response.status() < 400).toList();
    }

    private static boolean isPart(TokenKey key) {
        return switch (key) {
            case INPUT_TOKENS, OUTPUT_TOKENS, TOTAL_TOKENS -> false;
            default -> true;
        };
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.conformance.Scenarios#all")
    void aRefusedRequestIsBilledNothing(Scenario scenario) {
        List<BilledRequest> requests = scenario.billed().requests();
        List<Response> responses = billable(scenario);
        for (int i = 0; i < requests.size(); i++) {
            int status = responses.get(i).status();
            if (status >= 400) {
                BilledRequest request = requests.get(i);
                boolean unknown = OPEN.contains(status);
                assertThat(request.source()).isEqualTo(unknown ? UsageSource.MISSING : UsageSource.REPORTED);
                assertThat(request.figures().get(TokenKey.TOTAL_TOKENS))
                        .isEqualTo(unknown ? OptionalLong.empty() : OptionalLong.of(0));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("io.fluxtally.conformance.Scenarios#all")
    void everyBilledResponseIdIsOnTheWire(Scenario scenario) {
        List<BilledRequest> requests = scenario.billed().requests();
        for (int i = 0; i < requests.size(); i++) {
            String id = requests.get(i).responseId();
            if (id == null) {
                // Ollama's responses have none, and an error is no response.
                assertThat(scenario.family() == Family.OLLAMA
                                || billable(scenario).get(i).status() >= 400)
                        .isTrue();
            } else {
                assertThat(billable(scenario).get(i).body()).contains('"' + id + '"');
            }
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
