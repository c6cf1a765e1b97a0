package io.fluxtally.conformance.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Figures;
import io.fluxtally.conformance.scenario.TokenKey;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunTally;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("A bill of a refused request and an answer")
class BillCheckTest {

    private static final BilledRequest REFUSED = request(null, 0);
    private static final BilledRequest ANSWERED = request("R1", 9);

    @Test
    @DisplayName("agrees with what was counted if it lists both, or the answer alone")
    void agrees() {
        assertThat(differences(REFUSED, ANSWERED)).isEmpty();
        assertThat(differences(ANSWERED)).isEmpty();
    }

    @Test
    @DisplayName("differs if it lists them in another order, or one more")
    void differs() {
        assertThat(differences(ANSWERED, REFUSED))
                .containsExactly(
                        "requests[0].response_id: billed R1, counted null",
                        "requests[0].input_tokens: billed 9, counted 0",
                        "requests[1].input_tokens: billed 0, counted 9");
        assertThat(differences(REFUSED, REFUSED, ANSWERED)).contains("requests: billed 3, counted 1");
        assertThat(differences()).containsExactly("requests: billed 0, counted 1");
    }

    private static List<String> differences(BilledRequest... requests) {
        return BillCheck.differences(
                new Bill(true, new Figures(Map.of(TokenKey.INPUT_TOKENS, OptionalLong.of(9))), List.of(requests)),
                counted());
    }

    private static BilledRequest request(@Nullable String responseId, long input) {
        return new BilledRequest(
                responseId, UsageSource.REPORTED, new Figures(Map.of(TokenKey.INPUT_TOKENS, OptionalLong.of(input))));
    }

    private static RunUsage counted() {
        RunTally tally = new RunTally();
        tally.add(RequestUsage.builder("first", Instant.EPOCH)
                .usage(TokenUsage.ZERO, UsageSource.REPORTED)
                .outcome(RequestOutcome.REJECTED)
                .build());
        tally.add(RequestUsage.builder("second", Instant.EPOCH.plusSeconds(1))
                .responseId("R1")
                .usage(TokenUsage.of(9, 2), UsageSource.REPORTED)
                .outcome(RequestOutcome.COMPLETED)
                .build());
        return tally.usage();
    }
}
