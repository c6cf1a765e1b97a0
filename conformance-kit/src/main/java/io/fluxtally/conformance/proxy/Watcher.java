package io.fluxtally.conformance.proxy;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpHeaders;
import org.jspecify.annotations.Nullable;

/**
 * Watches what passes a {@link PassThrough}. It is called on the threads of the traffic, so it must not wait for anything;
 * what it throws is told to {@link #problem} and does not reach the traffic. To be safe for use by any number of threads.
 */
public interface Watcher {

    /** A request begins; null if nobody is to watch it. */
    @Nullable
    Passage begin(PassingRequest request);

    /** Something could not be passed or watched. The text has nothing in it of what passed. */
    void problem(String text);

    /** One request that passes, and its response. Not called after its end. */
    interface Passage {

        /** A piece of the request's body passes: to be read before this returns, and not to be changed. */
        void asked(ByteBuf piece);

        /** The response's head passes. */
        void responded(int status, HttpHeaders headers);

        /** A piece of the response's body passes: to be read before this returns, and not to be changed. */
        void answered(ByteBuf piece);

        /** It is over. Called once. */
        void ended(PassageEnd end);
    }
}
