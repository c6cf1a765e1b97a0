package io.fluxtally.usage;

/** What {@link UsageLimits} can limit in a run. */
public enum UsageLimit {
    /** HTTP requests to providers, those among them that a provider refused. */
    REQUESTS("requests"),
    /** Tokens asked, cached ones included. */
    INPUT_TOKENS("input tokens"),
    /** Tokens answered, reasoning included. */
    OUTPUT_TOKENS("output tokens"),
    /** Tokens asked and answered. */
    TOTAL_TOKENS("tokens in total");

    private final String label;

    UsageLimit(String label) {
        this.label = label;
    }

    String label() {
        return label;
    }
}
