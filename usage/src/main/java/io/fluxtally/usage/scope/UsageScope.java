package io.fluxtally.usage.scope;

import io.fluxtally.usage.RequestUsage;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import reactor.util.context.Context;
import reactor.util.context.ContextView;

/**
 * What travels with the work so that a request finds its run: a {@link RunScope}, or the {@link ModelCall} that is open
 * inside one, or the labels of work outside any run.
 *
 * <p>It travels in the Reactor {@code Context}, and on threads by {@link #bind()}. The innermost one counts.
 */
public sealed interface UsageScope permits RunScope, ModelCall, LabelledScope {

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

    /**
     * A scope in which requests carry one more label than in the given one: part of the same run, or of none if there is
     * none.
     *
     * @param outer the scope that the work is in, or null
     * @param name what is said, such as {@link RequestUsage#CONVERSATION}
     * @param value an identifier, never a text of the conversation
     * @throws IllegalArgumentException if either is empty or too long, or there are too many labels
     */
    static UsageScope labelled(@Nullable UsageScope outer, String name, String value) {
        RunScope run = outer == null ? null : outer.runScope();
        if (run != null) {
            return run.withLabel(name, value);
        }
        return new LabelledScope(
                outer == null ? null : outer.modelCall(),
                ScopeLabels.with(outer == null ? Map.of() : outer.labels(), name, value));
    }

    /** The run, or null for a call outside any run. */
    @Nullable
    RunScope runScope();

    /** The model call that this is, or that this was entered inside of, or null. */
    @Nullable
    ModelCall modelCall();

    /** What the app says of the work beside its place in the run, by name; empty if nothing. */
    Map<String, String> labels();

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
