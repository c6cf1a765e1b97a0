package io.fluxtally.dashscope;

import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.NativeUsageReader;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/** Reads the usage that {@code DashScopeChatModel} reports, with all its parts. Found by service loader. */
public final class DashScopeUsageReader implements NativeUsageReader {

    /** For the service loader. */
    public DashScopeUsageReader() {}

    @Override
    public @Nullable TokenUsage read(Usage usage) {
        return usage.getNativeUsage() instanceof DashScopeApiSpec.TokenUsage dashScope
                ? DashScopeUsages.toTokenUsage(dashScope)
                : null;
    }
}
