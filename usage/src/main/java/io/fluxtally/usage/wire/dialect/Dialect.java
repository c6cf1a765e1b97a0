package io.fluxtally.usage.wire.dialect;

import org.jspecify.annotations.Nullable;

/**
 * One family's way of reporting usage in a response body. A dialect is found by what the body is, not by a host name.
 *
 * <p>A body alone can deceive: any JSON may have a {@code usage} in it. So a dialect takes a body only if something else
 * speaks for it too: the request went to an endpoint of the family, or the body names its own type.
 *
 * <p>Implementations are immutable and safe for use by any number of threads.
 */
public interface Dialect {

    /** The family's name, such as {@code dashscope}: the provider that requests are booked under. */
    String provider();

    /** Whether a request goes to a model of this family, as far as its path and headers tell. */
    boolean expects(RequestHead request);

    /**
     * The model that a request to this family asks for, where its head tells; else null. What the head tells goes before
     * what the code above the client was asked for.
     */
    default @Nullable String requestModel(RequestHead request) {
        return null;
    }

    /** The places in an event of the response that the reading wants to see. */
    FieldPaths paths();

    /** The reading of one response. */
    ResponseReading newReading();
}
