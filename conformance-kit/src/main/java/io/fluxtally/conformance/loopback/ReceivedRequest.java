package io.fluxtally.conformance.loopback;

import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A request that reached the loopback provider. It keeps neither a header's value nor a body nor a query, so that no key and no
 * prompt ends up in a test report. Thread-safe.
 */
public final class ReceivedRequest {

    private final @Nullable String conversation;

    private final int index;

    private final String method;

    private final String path;

    private final Set<String> headerNames;

    private final CompletableFuture<ExchangeEnd> ended = new CompletableFuture<>();

    ReceivedRequest(@Nullable String conversation, int index, String method, String path, Set<String> headerNames) {
        this.conversation = conversation;
        this.index = index;
        this.method = method;
        this.path = path;
        this.headerNames = headerNames;
    }

    /** The conversation that it belongs to, null when it came without one. */
    public @Nullable String conversation() {
        return conversation;
    }

    /** The index within its conversation, from 0: the index of the response that it was given. */
    public int index() {
        return index;
    }

    /** The HTTP method. */
    public String method() {
        return method;
    }

    /** The path as it came, its conversation included, without the query. */
    public String path() {
        return path;
    }

    /** The names of its headers in lower case, in alphabetical order. */
    public Set<String> headerNames() {
        return headerNames;
    }

    /** How the exchange ended, as soon as it has. Each caller gets a future of its own. */
    public CompletableFuture<ExchangeEnd> ended() {
        return ended.copy();
    }

    boolean end(ExchangeEnd end) {
        return ended.complete(end);
    }

    @Override
    public String toString() {
        ExchangeEnd end = ended.getNow(null);
        return method + " " + path + " (" + (end == null ? "open" : end) + ")";
    }
}
