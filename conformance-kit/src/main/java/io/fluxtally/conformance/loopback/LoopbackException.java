package io.fluxtally.conformance.loopback;

/** A loopback provider that cannot listen; the message names the address and the reason. */
public final class LoopbackException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int port;

    LoopbackException(int port, String message, Throwable cause) {
        super(message, cause);
        this.port = port;
    }

    /** The port that was asked for. */
    public int port() {
        return port;
    }
}
