package io.fluxtally.usage.scope;

import org.jspecify.annotations.Nullable;

/**
 * The scope of the current thread, as it is: for code that carries scopes between threads. Everybody else uses
 * {@link UsageScope#bind()}, which cannot be left half-done.
 */
public final class ThreadScope {

    private static final ThreadLocal<@Nullable UsageScope> CURRENT = new ThreadLocal<>();

    private ThreadScope() {}

    /** The scope bound to the current thread, or null. */
    public static @Nullable UsageScope get() {
        return CURRENT.get();
    }

    /**
     * Binds a scope to the current thread, or none. Its place stays there, empty: some of Reactor's operators bind and unbind
     * for each element, and a place that is removed is made again by the next look at it.
     */
    public static void set(@Nullable UsageScope scope) {
        CURRENT.set(scope);
    }

    static UsageScope.Binding bind(UsageScope scope) {
        UsageScope previous = get();
        set(scope);
        return () -> set(previous);
    }
}
