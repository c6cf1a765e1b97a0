package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestUsage;

/**
 * Receives every booked request, once, after it was added to its run.
 *
 * <p>It is called on the thread that ends the response, often a network thread, so it must not block. Whatever it throws
 * is logged and counted and reaches neither the app nor other sinks. Must be safe for use by any number of threads.
 */
@FunctionalInterface
public interface UsageSink {

    /** Takes a booked request. */
    void accept(RequestUsage request);
}
