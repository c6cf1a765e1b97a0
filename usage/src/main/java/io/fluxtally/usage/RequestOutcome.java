package io.fluxtally.usage;

/** How a request to a provider ended. */
public enum RequestOutcome {
    /** The provider finished its response, whatever the client did afterwards. */
    COMPLETED,
    /** The client left before the provider had finished. */
    CANCELLED,
    /** The response ended cleanly but without the provider's mark of a finished one. */
    TRUNCATED,
    /** The connection broke, or the provider sent an error in the middle of its response. */
    FAILED,
    /** The provider answered with an HTTP error status instead of a response; nothing is billed for it. */
    REJECTED
}
