package io.fluxtally.usage.scope;

import org.jspecify.annotations.Nullable;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * What travels with the work so that a request finds its run: a {@link RunScope}, or the {@link ModelCall} that is open
 * inside one.
 *
 * <p>It travels in the Reactor {@code Context}, and on threads by {@link #bind()}. The innermost one counts.
 */
public sealed interface UsageScope permits RunScope, ModelCall {

    /** The key of the scope in a Reactor {@code Context} and in {@code io.micrometer:context-propagation}. */
    String KEY = "io.fluxtally.usage.scope";

    /**
     * The scope that work with the given context belongs to: the context's, else the current thread's, else null.
     */
    static @Nullable UsageScope current(ContextView context) {
        UsageScope scope = context.getOrDefault(KEY, null);
        return scope != null ? scope : current();
    }

    /**
     * The scope bound to the current thread, else that of the stream whose model runs a tool on this thread, else null.
     */
    static @Nullable UsageScope current() {
        UsageScope scope = ThreadScope.get();
        return scope != null ? scope : ToolCallContexts.scope();
    }

    /** The run, or null for a call outside any run. */
    @Nullable
    RunScope runScope();

    /** The model call that this is, or that this was entered inside of, or null. */
    @Nullable
    ModelCall modelCall();

    /** The given context with this scope in it: {@code flux.contextWrite(scope::writeTo)}. */
    default Context writeTo(Context context) {
        return context.put(KEY, this);
    }

    /**
     * Makes this the scope of the current thread until the binding is closed. To be closed on the same thread:
     * {@code try (var binding = scope.bind()) { ... }}.
     */
    default Binding bind() {
        return ThreadScope.bind(this);
    }

    /** A scope's hold on a thread. */
    @FunctionalInterface
    interface Binding extends AutoCloseable {

        /** Gives the thread back the scope that it had before. */
        @Override
        void close();
    }
}
