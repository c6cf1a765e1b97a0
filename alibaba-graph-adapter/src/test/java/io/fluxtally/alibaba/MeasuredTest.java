package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.NodeOutput;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.UsageSum;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@DisplayName("With Fluxtally")
class MeasuredTest {

    /** What an app has hidden from the sum over its finished outputs: what no output is of. */
    private static final Map<App, Integer> BESIDE_NODES = Map.of(App.RESUME, 7_000);

    private static Stream<Kit> kits() {
        List<Kit> kits = new ArrayList<>();
        kits.add(Kit.measured(false, UsageAt.LAST_CONTENT));
        for (UsageAt at : UsageAt.values()) {
            kits.add(Kit.measured(true, at));
        }
        return kits.stream();
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "RETRY")
    @DisplayName("the last output carries what the run is billed, in calls and streams (T1, T3, T4, T9, T19)")
    void billed(App app) throws Exception {
        for (Kit kit : kits().toList()) {
            List<NodeOutput> outputs = Outputs.of(app, kit);
            NodeOutput last = Outputs.last(outputs);

            assertThat(last.isEND()).isTrue();
            assertThat(Outputs.tokens(last)).as(kit.toString()).isEqualTo(app.billed());
            RunUsage usage = GraphUsage.of(last).orElseThrow();
            assertThat(usage.total().totalTokens()).isEqualTo(app.billed());
            assertThat(usage.inFlight()).isZero();
            assertThat(kit.recorder().unattributed()).isZero();
            assertThat(kit.recorder().processSum().total().totalTokens()).isEqualTo(app.billed());
            assertThat(outputs.subList(0, outputs.size() - 1))
                    .as("only the last carries the run's total")
                    .allSatisfy(output -> assertThat(GraphUsage.of(output)).isEmpty());
        }
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"RETRY", "FALLBACK", "ROUTING"})
    @DisplayName("finished outputs carry what their nodes used, and add up to the total")
    void addedUp(App app) throws Exception {
        for (Kit kit : kits().toList()) {
            assertThat(Outputs.sum(Outputs.of(app, kit)))
                    .as(kit.toString())
                    .isEqualTo(app.billed() - BESIDE_NODES.getOrDefault(app, 0));
        }
    }

    @Test
    @DisplayName("a call that failed is graded, and never lower than what was reported (T7, T8)")
    void retried() throws Exception {
        NodeOutput last = Outputs.last(Outputs.of(App.RETRY, Kit.measured(false, UsageAt.LAST_CONTENT)));

        RunUsage usage = GraphUsage.of(last).orElseThrow();
        assertThat(Outputs.tokens(last)).isEqualTo(26_500);
        assertThat(usage.isComplete()).isFalse();
        assertThat(usage.unreported()).isOne();
    }

    @ParameterizedTest
    @EnumSource(
            names = {
                "REACT_AGENT",
                "AGENT_AS_NODE",
                "AGENT_AS_TOOL",
                "AGENTS_AS_PARALLEL_TOOLS",
                "SEQUENTIAL",
                "PARALLEL",
                "LOOP",
                "TASK_TOOL",
                "SUB_AGENT_INTERCEPTOR"
            })
    @DisplayName("agents whose models nobody else hears are billed right as well")
    void rawModels(App app) throws Exception {
        for (Kit kit : kits().toList()) {
            NodeOutput last = Outputs.last(Outputs.of(app, kit.withRawModels()));

            assertThat(Outputs.tokens(last)).as(kit.toString()).isEqualTo(app.billed());
            assertThat(GraphUsage.of(last).orElseThrow().isComplete()).isTrue();
        }
    }

    @Test
    @DisplayName("a run of which nothing was heard says what it said before")
    void nothingHeard() throws Exception {
        Kit kit = Kit.measured(false, UsageAt.LAST_CONTENT).withRawModels();

        assertThat(Outputs.last(Outputs.of(App.GRAPH, kit)).tokenUsage()).isNull();
        assertThat(Outputs.tokens(Outputs.last(Outputs.of(
                        App.TELLING_NODES,
                        Kit.measured(false, UsageAt.LAST_CONTENT).withRawModels()))))
                .isEqualTo(8_500);
    }

    @Test
    @DisplayName("a run is told by agent, node, round and model")
    void views() throws Exception {
        RunUsage usage = usageOf(App.AGENT_AS_TOOL);

        assertThat(tokens(usage.byAgent())).containsOnly(Map.entry("chief", 2_500L), Map.entry("expert", 26_500L));
        assertThat(tokens(usage.byNode())).containsOnly(Map.entry("_AGENT_MODEL_", 29_000L));
        assertThat(tokens(usage.byModel())).containsOnly(Map.entry("scripted-1", 29_000L));
        assertThat(tokens(usage.byRound()))
                .containsOnly(Map.entry(1, 1_100L + 7_000), Map.entry(2, 1_400L + 11_000), Map.entry(3, 8_500L));
        assertThat(tokens(usageOf(App.PARALLEL_EDGES).byNode()))
                .containsOnly(Map.entry("left", 7_000L), Map.entry("right", 11_000L));
        assertThat(tokens(usageOf(App.CONDITIONAL_PARALLEL).byNode()))
                .containsOnly(Map.entry("left", 7_000L), Map.entry("right", 11_000L));
        assertThat(tokens(usageOf(App.PARALLEL).byAgent()))
                .containsOnly(Map.entry("first", 26_500L), Map.entry("second", 26_500L));
        assertThat(tokens(usageOf(App.LOOP).byAgent())).containsOnly(Map.entry("weather", 53_000L));
        assertThat(tokens(usageOf(App.ROUTING).byAgent()))
                .containsOnly(Map.entry("router", 1_460L), Map.entry("first", 26_500L));
    }

    private static RunUsage usageOf(App app) throws Exception {
        return GraphUsage.of(Outputs.last(Outputs.of(app, Kit.measured(true, UsageAt.USAGE_ONLY))))
                .orElseThrow();
    }

    private static <K> Map<K, Long> tokens(Map<K, UsageSum> sums) {
        return sums.entrySet().stream()
                .collect(Collectors.toMap(
                        Map.Entry::getKey, entry -> entry.getValue().total().totalTokens()));
    }
}
