package io.fluxtally.alibaba;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.graph.NodeOutput;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Hooks;

@DisplayName("With Reactor's automatic context propagation")
class ContextPropagationTest {

    @BeforeAll
    static void on() {
        Hooks.enableAutomaticContextPropagation();
    }

    @AfterAll
    static void off() {
        Hooks.disableAutomaticContextPropagation();
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "RETRY")
    @DisplayName("each app reads what it is billed as well (T18)")
    void billed(App app) throws Exception {
        for (Kit kit : new Kit[] {
            Kit.measured(false, UsageAt.LAST_CONTENT),
            Kit.measured(true, UsageAt.USAGE_ONLY),
            Kit.measured(true, UsageAt.RUNNING)
        }) {
            NodeOutput last = Outputs.last(Outputs.of(app, kit));

            assertThat(Outputs.tokens(last)).as(kit.toString()).isEqualTo(app.billed());
            assertThat(kit.recorder().unattributed()).isZero();
        }
    }
}
