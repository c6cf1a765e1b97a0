package io.fluxtally.alibaba;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import io.fluxtally.dashscope.DashScopeUsages;
import io.fluxtally.usage.RunUsage;
import org.springframework.ai.chat.metadata.Usage;

/** The usage on the output that ends a run: its total as any {@code Usage}, and behind it the run. */
interface RunTotals extends Usage {

    /** The run as it was when the output was made. Not a getter, so that it is not in an app's JSON. */
    RunUsage runUsage();

    /**
     * The total of a run.
     *
     * @param isDashScope whether the app's code may cast it to DashScope's own type
     */
    static RunTotals of(RunUsage usage, boolean isDashScope) {
        return isDashScope ? new OfDashScope(usage) : new OfAny(usage);
    }

    /** The total as DashScope's own type. */
    final class OfDashScope extends DashScopeAiUsage implements RunTotals {

        private final RunUsage run;

        OfDashScope(RunUsage run) {
            super((DashScopeApiSpec.TokenUsage)
                    DashScopeUsages.toDashScope(run.total()).getNativeUsage());
            this.run = run;
        }

        @Override
        public RunUsage runUsage() {
            return run;
        }
    }

    /** The total as Spring AI's interface asks for it. */
    final class OfAny implements RunTotals {

        private final RunUsage run;

        OfAny(RunUsage run) {
            this.run = run;
        }

        @Override
        public RunUsage runUsage() {
            return run;
        }

        @Override
        public Integer getPromptTokens() {
            return run.total().getPromptTokens();
        }

        @Override
        public Integer getCompletionTokens() {
            return run.total().getCompletionTokens();
        }

        @Override
        public Integer getTotalTokens() {
            return run.total().getTotalTokens();
        }

        @Override
        public Object getNativeUsage() {
            return run.total();
        }

        @Override
        public String toString() {
            return run.total().toString();
        }
    }
}
