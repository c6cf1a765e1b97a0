package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import com.alibaba.cloud.ai.dashscope.spec.DashScopeApiSpec;
import com.alibaba.cloud.ai.graph.NodeOutput;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@DisplayName("Code that casts to DashScope's own usage")
class DashScopeUsageTest {

    @ParameterizedTest
    @EnumSource
    @DisplayName("reads the run's totals and their parts (T6, T20)")
    void casts(UsageAt at) throws Exception {
        List<NodeOutput> outputs =
                Outputs.of(App.REACT_AGENT, Kit.measured(true, at).ofDashScope());
        NodeOutput output = Outputs.last(outputs);

        DashScopeAiUsage usage = (DashScopeAiUsage) output.tokenUsage();
        DashScopeApiSpec.TokenUsage parts = (DashScopeApiSpec.TokenUsage) usage.getNativeUsage();

        assertThat(usage.getPromptTokens()).isEqualTo(19_000);
        assertThat(usage.getCompletionTokens()).isEqualTo(7_500);
        assertThat(usage.getTotalTokens()).isEqualTo(26_500);
        assertThat(parts.inputTokensDetails().text()).isEqualTo(19_000 - 30);
        assertThat(parts.inputTokensDetails().image()).isEqualTo(21);
        assertThat(parts.inputTokensDetails().audio()).isEqualTo(9);
        assertThat(parts.promptTokenDetailed().cachedTokens()).isEqualTo(300);
        assertThat(parts.outputTokensDetails().text()).isEqualTo(7_500 - 3);
        assertThat(parts.outputTokensDetails().image())
                .as("reasoning, by its misnomer")
                .isEqualTo(3);
        assertThat(Outputs.finished(outputs))
                .filteredOn(node -> node.tokenUsage() != null)
                .allSatisfy(node -> assertThat(node.tokenUsage()).isInstanceOf(DashScopeAiUsage.class));
    }

    @ParameterizedTest
    @EnumSource(names = "REACT_AGENT")
    @DisplayName("finds it on every output of a call that had it before")
    void castsInCalls(App app) throws Exception {
        List<NodeOutput> before =
                Outputs.of(app, Kit.plain(false, UsageAt.LAST_CONTENT).ofDashScope());
        List<NodeOutput> after =
                Outputs.of(app, Kit.measured(false, UsageAt.LAST_CONTENT).ofDashScope());

        for (int i = 0; i < before.size(); i++) {
            if (before.get(i).tokenUsage() instanceof DashScopeAiUsage) {
                assertThat(after.get(i).tokenUsage()).isInstanceOf(DashScopeAiUsage.class);
            }
        }
    }
}
