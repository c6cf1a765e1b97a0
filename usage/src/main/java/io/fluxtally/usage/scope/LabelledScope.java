package io.fluxtally.usage.scope;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The labels of work outside any run. Immutable. */
record LabelledScope(@Nullable ModelCall modelCall, Map<String, String> labels) implements UsageScope {

    @Override
    public @Nullable RunScope runScope() {
        return null;
    }
}
