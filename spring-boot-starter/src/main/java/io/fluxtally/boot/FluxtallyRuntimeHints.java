package io.fluxtally.boot;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.ExecutableMode;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.aot.hint.TypeReference;

/** What a native image has to keep, because it is looked up by name. */
final class FluxtallyRuntimeHints implements RuntimeHintsRegistrar {

    /** Where Spring AI and DashScope's client leave the context of the stream that runs a tool. */
    private static final String[] TOOL_CALL_CONTEXTS = {
        "org.springframework.ai.model.tool.internal.ToolCallReactiveContextHolder",
        "com.alibaba.cloud.ai.tool.observation.inner.ToolCallReactiveContextHolder"
    };

    @Override
    public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
        for (String holder : TOOL_CALL_CONTEXTS) {
            hints.reflection()
                    .registerTypeIfPresent(
                            classLoader,
                            holder,
                            type -> type.withMethod("getContext", List.<TypeReference>of(), ExecutableMode.INVOKE));
        }
    }
}
