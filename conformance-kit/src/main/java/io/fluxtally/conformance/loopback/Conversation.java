package io.fluxtally.conformance.loopback;

import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** One run through the responses. Thread-safe: concurrent requests take responses in the order in which they come. */
final class Conversation {

    private final @Nullable String key;

    private final AtomicInteger cursor = new AtomicInteger();

    Conversation(@Nullable String key) {
        this.key = key;
    }

    @Nullable
    String key() {
        return key;
    }

    int next() {
        return cursor.getAndIncrement();
    }
}
