package io.fluxtally.benchmarks.tally;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Instant;
import java.util.UUID;

/** Requests of one size. */
final class Request {

    /** What each has used in all. */
    static final int TOKENS = 1_100;

    private static final int OUTPUT_TOKENS = 100;

    private Request() {}

    /** So many requests, each with an id of its own. */
    static RequestUsage[] some(int count) {
        RequestUsage[] requests = new RequestUsage[count];
        for (int i = 0; i < count; i++) {
            requests[i] = RequestUsage.builder(UUID.randomUUID().toString(), Instant.now())
                    .usage(TokenUsage.of(TOKENS - OUTPUT_TOKENS, OUTPUT_TOKENS), UsageSource.REPORTED)
                    .build();
        }
        return requests;
    }
}
