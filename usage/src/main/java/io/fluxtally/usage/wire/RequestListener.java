package io.fluxtally.usage.wire;

import io.fluxtally.usage.scope.ModelCall;
import io.fluxtally.usage.scope.UsageSink;
import org.jspecify.annotations.Nullable;
import reactor.util.context.ContextView;

/**
 * Is told of each request that may be one to a model, in the place where it is made: for what goes by the place, such as
 * the span that is open there.
 *
 * <p>Whatever it throws is logged and counted, and does not reach the app. Must be safe for use by any number of threads.
 */
@FunctionalInterface
public interface RequestListener {

    /**
     * A request is about to be sent.
     *
     * @param contexts the Reactor contexts it is made in, that of the client first and then those around it, as far as each
     *     subscriber tells who is next: a client may hide in its own what is in those around it. Empty for a blocking
     *     request, which is made on the current thread. To be read during this call
     * @param request the request, for whoever comes to know that nobody waits for its response any more
     * @return who is to be told of the request when it is booked, before the app hears of the end of the response, or null.
     *     Nothing is told if it turns out to be no request to a model
     */
    @Nullable
    UsageSink onRequest(Iterable<? extends ContextView> contexts, ModelCall.OpenRequest request);
}
