package io.fluxtally.conformance.proxy;

/** How a request that passed ended; the first end counts. */
public enum PassageEnd {
    /** The response came to its end. */
    COMPLETE,
    /** The provider broke the connection. */
    BROKEN,
    /** The client left before that. */
    CLIENT_LEFT,
    /** There was no connection to a provider. */
    NOT_SENT
}
