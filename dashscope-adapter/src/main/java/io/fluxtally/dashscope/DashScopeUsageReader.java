package io.fluxtally.dashscope;

import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.NativeUsageReader;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.metadata.Usage;

/** Reads the usage that {@code DashScopeChatModel} reports, with all its parts. Found by service loader. */
public final class DashScopeUsageReader implements NativeUsageReader {

    /** The adapter may be there without the client, which then reports nothing either. */
    private static final boolean HAS_CLIENT = hasClient();

    /** For the service loader. */
    public DashScopeUsageReader() {}

    @Override
    public @Nullable TokenUsage read(Usage usage) {
        return HAS_CLIENT && usage.getNativeUsage() instanceof DashScopeApiSpec.TokenUsage dashScope
                ? DashScopeUsages.toTokenUsage(dashScope)
                : null;
    }

    private static boolean hasClient() {
        try {
            return DashScopeApiSpec.TokenUsage.class.getName() != null;
        } catch (NoClassDefFoundError notThere) {
            return false;
        }
    }
}
