package io.fluxtally.usage.chat;

import static io.fluxtally.usage.chat.Script.usageOnly;
import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.metadata.EmptyUsage;
import org.springframework.ai.chat.metadata.Usage;
import org.springframework.ai.chat.model.ChatResponse;

class UsageReadingTest {

    /** A usage whose counts may be null, and whose total may throw as DashScope's does. */
    private record Counts(Integer input, Integer output, Integer total, boolean totalThrows) implements Usage {

        @Override
        public Integer getPromptTokens() {
            return input;
        }

        @Override
        public Integer getCompletionTokens() {
            return output;
        }

        @Override
        public Integer getTotalTokens() {
            if (totalThrows) {
                throw new NullPointerException("inputTokens");
            }
            return total;
        }

        @Override
        public Object getNativeUsage() {
            return null;
        }
    }

    static Stream<ChatResponse> responsesWithoutUsage() {
        return Stream.of(
                new ChatResponse(List.of(), null),
                new ChatResponse(List.of()),
                usageOnly(null),
                usageOnly(new EmptyUsage()),
                usageOnly(new DefaultUsage(0, 0, 0)),
                usageOnly(new DefaultUsage(null, null)),
                usageOnly(new Counts(null, null, null, false)),
                usageOnly(new Counts(null, null, null, true)),
                usageOnly(new Counts(0, null, 0, false)),
                usageOnly(new Counts(-1, -1, -1, false)),
                usageOnly(TokenUsage.ZERO));
    }

    @ParameterizedTest
    @MethodSource("responsesWithoutUsage")
    @DisplayName("T14: null, empty and zero usage are all no usage")
    void none(ChatResponse response) {
        assertThat(UsageReading.of(response)).isNull();
    }

    @Test
    @DisplayName("prompt and completion are input and output")
    void counts() {
        assertThat(UsageReading.of(new DefaultUsage(5000, 2000))).isEqualTo(TokenUsage.of(5000, 2000));
    }

    @Test
    @DisplayName("T14: the total that the client reports counts, even beyond input plus output")
    void total() {
        assertThat(UsageReading.of(new Counts(10, 5, 40, false)))
                .isEqualTo(TokenUsage.builder()
                        .inputTokens(10)
                        .outputTokens(5)
                        .totalTokens(40)
                        .build());
    }

    @Test
    @DisplayName("T17: a null count is nothing to unbox, and the other counts still are read")
    void nullCounts() {
        assertThat(UsageReading.of(new Counts(10, null, null, false))).isEqualTo(TokenUsage.of(10, 0));
        assertThat(UsageReading.of(new Counts(null, 5, null, false))).isEqualTo(TokenUsage.of(0, 5));
        assertThat(UsageReading.of(new Counts(null, null, 7, false)))
                .isEqualTo(TokenUsage.builder().totalTokens(7).build());
    }

    @Test
    @DisplayName("T17: a total that throws where a count is null leaves input plus output")
    void totalThatThrows() {
        assertThat(UsageReading.of(new Counts(10, 5, null, true))).isEqualTo(TokenUsage.of(10, 5));
        assertThat(UsageReading.of(new Counts(10, null, null, true))).isEqualTo(TokenUsage.of(10, 0));
    }

    @Test
    @DisplayName("T17: the sum of two counts near the end of int does not overflow")
    void overflow() {
        assertThat(UsageReading.of(new Counts(Integer.MAX_VALUE, Integer.MAX_VALUE, null, false))
                        .totalTokens())
                .isEqualTo(2L * Integer.MAX_VALUE);
    }

    @Test
    @DisplayName("a usage of ours keeps its parts")
    void own() {
        TokenUsage own = TokenUsage.builder()
                .inputTokens(10)
                .part(TokenPart.CACHE_READ_INPUT, 4)
                .build();

        assertThat(UsageReading.of(usageOnly(own))).isSameAs(own);
    }

    @Test
    @DisplayName("parts that Spring AI's usage cannot tell are absent, not zero")
    void partsAreAbsent() {
        TokenUsage usage = UsageReading.of(new DefaultUsage(10, 5));

        for (TokenPart part : TokenPart.values()) {
            assertThat(usage.part(part)).as(part.key()).isEmpty();
        }
    }

    @Test
    @DisplayName("the public reading takes a null usage for none")
    void publicReading() {
        assertThat(ChatUsage.tokensOf(null)).isNull();
        assertThat(ChatUsage.tokensOf(new EmptyUsage())).isNull();
        assertThat(ChatUsage.tokensOf(new DefaultUsage(10, 5))).isEqualTo(TokenUsage.of(10, 5));
    }
}
