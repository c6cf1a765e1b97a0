package io.fluxtally.usage.scope;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import reactor.util.context.ContextView;

/**
 * The Reactor {@code Context} of a stream whose model runs a tool on the current thread. The models hop to another thread
 * for that and leave the context in a holder of their own: one in Spring AI 1.1, one in DashScope's client 1.1.2. Both are
 * internal there, so they are looked up, and not there if they have moved.
 */
final class ToolCallContexts {

    private static final List<MethodHandle> HOLDERS = find(
            "org.springframework.ai.model.tool.internal.ToolCallReactiveContextHolder",
            "com.alibaba.cloud.ai.tool.observation.inner.ToolCallReactiveContextHolder");

    private ToolCallContexts() {}

    private static List<MethodHandle> find(String... classNames) {
        List<MethodHandle> holders = new ArrayList<>();
        for (String className : classNames) {
            try {
                Class<?> holder = Class.forName(className, true, ToolCallContexts.class.getClassLoader());
                holders.add(MethodHandles.publicLookup()
                        .findStatic(holder, "getContext", MethodType.methodType(ContextView.class)));
            } catch (ReflectiveOperationException | LinkageError notThere) {
                // This client is not there, or keeps the context elsewhere: then only what the app binds is found.
            }
        }
        return List.copyOf(holders);
    }

    /** The scope of the stream that runs a tool here, or null. */
    static @Nullable UsageScope scope() {
        for (MethodHandle holder : HOLDERS) {
            try {
                ContextView context = (ContextView) holder.invokeExact();
                UsageScope scope = context == null ? null : context.getOrDefault(UsageScope.KEY, null);
                if (scope != null) {
                    return scope;
                }
            } catch (Throwable failure) {
                MeasuringFailures.report("the lookup of a tool call's context", failure);
            }
        }
        return null;
    }
}
