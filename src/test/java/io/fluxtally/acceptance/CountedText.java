package io.fluxtally.acceptance;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;

/** A request as tests write it: its source, input and output, and what was read from a cache if there was any. */
final class CountedText {

    private CountedText() {}

    static String of(RequestUsage request) {
        TokenUsage usage = request.usage();
        if (usage == null) {
            return request.source().name();
        }
        long cached = usage.cacheReadInputTokens().orElse(0);
        String figures = "%s %d/%d".formatted(request.source(), usage.inputTokens(), usage.outputTokens());
        return cached == 0 ? figures : figures + " cached " + cached;
    }
}
