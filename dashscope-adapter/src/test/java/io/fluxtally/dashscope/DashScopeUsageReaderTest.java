package io.fluxtally.dashscope;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.metadata.DashScopeAiUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.chat.NativeUsageReader;
import java.util.ServiceLoader;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;

@DisplayName("the reader of DashScope's usage")
class DashScopeUsageReaderTest {

    private final DashScopeUsageReader reader = new DashScopeUsageReader();

    @Test
    @DisplayName("is found by the service loader")
    void found() {
        assertThat(ServiceLoader.load(NativeUsageReader.class)).hasAtLeastOneElementOfType(DashScopeUsageReader.class);
    }

    @Test
    @DisplayName("lends the capture the parts that only the native record has")
    void inCapture() {
        TokenUsage usage = ChatUsage.tokensOf(DashScopeAiUsage.from(NativeUsage.of(5000, 2000, 7000)
                .cache(64, null, null)
                .outputDetails(null, 640)
                .build()));

        assertThat(usage.part(TokenPart.CACHE_READ_INPUT)).hasValue(64);
        assertThat(usage.part(TokenPart.REASONING_OUTPUT)).hasValue(640);
    }

    @Test
    @DisplayName("reads nothing from another provider's usage, nor from a record without figures")
    void others() {
        assertThat(reader.read(new DefaultUsage(1, 2))).isNull();
        assertThat(reader.read(new EmptyUsage())).isNull();
        assertThat(reader.read(TokenUsage.of(1, 2))).isNull();
        DashScopeAiUsage empty =
                DashScopeAiUsage.from(NativeUsage.of(null, null, null).build());
        assertThat(reader.read(empty)).isNull();
        assertThat(ChatUsage.tokensOf(empty)).isNull();
    }

    @Test
    @DisplayName("reads a record whose counts are missing beside their details, on which its own getters fail")
    void detailsOnly() {
        DashScopeAiUsage usage = DashScopeAiUsage.from(NativeUsage.of(null, null, null)
                .inputDetails(16, null, null)
                .outputDetails(6, null)
                .build());

        assertThat(ChatUsage.tokensOf(usage).totalTokens()).isEqualTo(22);
    }
}
