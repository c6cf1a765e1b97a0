package io.fluxtally.conformance.loopback;

/** How an exchange ended, as the loopback provider saw it. */
public enum ExchangeEnd {
    /**
     * The whole body was handed to the socket. A client that is content earlier, as those are that stop reading at
     * {@code [DONE]}, may have left by then all the same.
     */
    COMPLETED,
    /** The provider reset the connection, as its scenario says. */
    RESET,
    /** The client closed the connection before the response was complete: it cancelled, failed or timed out. */
    CLIENT_LEFT,
    /** The provider was closed before the response was complete. */
    PROVIDER_CLOSED
}
