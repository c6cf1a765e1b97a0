package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.usage.RunUsage;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.Usage;

/** The usage on the output that ends a run: its total as the app's code expects a usage, and behind it the run. */
interface RunTotals extends Usage {

    /** The run as it was when the output was made. Not a getter, so that it is not in an app's JSON. */
    RunUsage runUsage();

    /** The total of a run. */
    static RunTotals of(RunUsage run, NativeKind kind) {
        Usage usage = kind.usage(run.total());
        return kind == NativeKind.DASHSCOPE ? new OfDashScope(usage, run) : new OfAny(usage, run);
    }

    /** The total as DashScope's own type. */
    final class OfDashScope extends DashScopeAiUsage implements RunTotals {

        private final RunUsage run;

        private OfDashScope(Usage usage, RunUsage run) {
            super((DashScopeApiSpec.TokenUsage) usage.getNativeUsage());
            this.run = run;
        }

        @Override
        public RunUsage runUsage() {
            return run;
        }
    }

    /** The total as Spring AI's own type. */
    final class OfAny extends DefaultUsage implements RunTotals {

        private final RunUsage run;

        private OfAny(Usage usage, RunUsage run) {
            super(usage.getPromptTokens(), usage.getCompletionTokens(), usage.getTotalTokens(), usage.getNativeUsage());
            this.run = run;
        }

        @Override
        public RunUsage runUsage() {
            return run;
        }
    }
}
