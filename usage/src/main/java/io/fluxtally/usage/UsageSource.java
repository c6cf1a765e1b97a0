package io.fluxtally.usage;

/** Where the figure of a request comes from, and so how far it can be trusted. */
public enum UsageSource {
    /** The provider's final figure. */
    REPORTED,
    /** A running figure of a response that was cut: at least this much was billed. */
    PARTIAL,
    /** A figure that was estimated here, because the provider gave none. */
    ESTIMATED,
    /** The request was billed, as far as can be known, and no figure was seen. */
    MISSING
}
