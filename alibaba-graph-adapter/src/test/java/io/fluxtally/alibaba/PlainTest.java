package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.alibaba.cloud.ai.graph.NodeOutput;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What Spring AI Alibaba 1.1.2.2 says without Fluxtally. A release that says something else is to be noticed here. */
@DisplayName("Spring AI Alibaba as it is")
class PlainTest {

    @ParameterizedTest
    @CsvSource(
            nullValues = "null",
            value = {
                "REACT_AGENT, 8500",
                "GRAPH, null",
                "ASYNC_NODES, null",
                "GRAPH_FLUX_NODES, null",
                "TELLING_NODES, 8500",
                "COMPILED_SUB_GRAPH, null",
                "MERGED_SUB_GRAPH, null",
                "AGENT_AS_NODE, null",
                "AGENT_AS_TOOL, 1400",
                "AGENTS_AS_PARALLEL_TOOLS, 1400",
                "SEQUENTIAL, null",
                "PARALLEL, null",
                "LOOP, 8500",
                "ROUTING, null",
                "PARALLEL_EDGES, null",
                "TELLING_PARALLEL, 11000",
                "CONDITIONAL_PARALLEL, null",
                "RESUME, null",
                "SUMMARISED, 8500",
                "TOOL_SELECTION, 8500",
                "TOOL_EMULATION, 8500",
                "FALLBACK, 0",
                "RETRY, 8500",
                "TASK_TOOL, 1400",
                "SUB_AGENT_INTERCEPTOR, 1400"
            })
    @DisplayName("says in call mode what the last node said, or nothing")
    void called(App app, @Nullable Integer last) throws Exception {
        List<NodeOutput> outputs = Outputs.of(app, Kit.plain(false, UsageAt.LAST_CONTENT));

        assertThat(Outputs.last(outputs).isEND()).isTrue();
        assertThat(Outputs.tokens(Outputs.last(outputs))).isEqualTo(last);
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"TELLING_NODES", "TELLING_PARALLEL", "RETRY"})
    @DisplayName("says nothing at the end of a stream")
    void streamed(App app) throws Exception {
        for (UsageAt at : UsageAt.values()) {
            NodeOutput last = Outputs.last(Outputs.of(app, Kit.plain(true, at)));

            assertThat(last.isEND()).as(at.words()).isTrue();
            assertThat(last.tokenUsage()).as(at.words()).isNull();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "REACT_AGENT, 26500",
        "GRAPH, 26500",
        "ASYNC_NODES, 26500",
        "GRAPH_FLUX_NODES, 26500",
        "COMPILED_SUB_GRAPH, 26500",
        "MERGED_SUB_GRAPH, 26500",
        "AGENT_AS_NODE, 26500",
        "AGENT_AS_TOOL, 2500",
        "AGENTS_AS_PARALLEL_TOOLS, 2500",
        "SEQUENTIAL, 53000",
        "PARALLEL, 53000",
        "LOOP, 53000",
        "ROUTING, 26500",
        "PARALLEL_EDGES, 18000",
        "CONDITIONAL_PARALLEL, 18000",
        "RESUME, 19500",
        "SUMMARISED, 26500",
        "TOOL_SELECTION, 26500",
        "TOOL_EMULATION, 26500",
        "FALLBACK, 0",
        "TASK_TOOL, 2500",
        "SUB_AGENT_INTERCEPTOR, 2500"
    })
    @DisplayName(
            "adds up over finished outputs to what it can see, and to nothing where the usage is on a chunk of its own")
    void addedUp(App app, int sum) throws Exception {
        for (UsageAt at : UsageAt.values()) {
            assertThat(Outputs.sum(Outputs.of(app, Kit.plain(true, at))))
                    .as(at.words())
                    .isEqualTo(at == UsageAt.USAGE_ONLY ? 0 : sum);
        }
    }

    @Test
    @DisplayName("adds up to more than was used where branches say what they used")
    void branchesAddedUp() throws Exception {
        assertThat(Outputs.sum(Outputs.of(App.TELLING_PARALLEL, Kit.plain(true, UsageAt.LAST_CONTENT))))
                .isEqualTo(22_000);
    }

    @Test
    @DisplayName("ends a stream with its retry interceptor in an error")
    void retriedInStream() {
        assertThatThrownBy(() -> Outputs.of(App.RETRY, Kit.plain(true, UsageAt.LAST_CONTENT)))
                .hasRootCauseInstanceOf(ClassCastException.class);
    }
}
