package io.fluxtally.ledger.reconcile;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.List;

/** Requests for tests. */
final class Requests {

    static final Instant NOON = Instant.parse("2026-01-31T12:00:00Z");

    private Requests() {}

    /** A reported request whose response has the id {@code r-} and the key. */
    static RequestUsage reported(String id, long input, long output) {
        return request(id)
                .usage(TokenUsage.of(input, output), UsageSource.REPORTED)
                .build();
    }

    static RequestUsage.Builder request(String id) {
        return RequestUsage.builder(id, NOON)
                .runId("run")
                .responseId("r-" + id)
                .provider("openai")
                .requestModel("m")
                .usage(TokenUsage.of(1, 1), UsageSource.REPORTED);
    }

    static BookedRequests booked(RequestUsage... requests) {
        return List.of(requests)::forEach;
    }
}
