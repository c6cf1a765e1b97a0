package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class UsageLimitsTest {

    @Test
    @DisplayName("each limit is set alone, in a copy, and the others stay as they were")
    void copies() {
        UsageLimits limits = UsageLimits.NONE
                .withRequests(1)
                .withInputTokens(2)
                .withOutputTokens(3)
                .withTotalTokens(4);

        assertThat(limits.of(UsageLimit.REQUESTS)).isEqualTo(1);
        assertThat(limits.of(UsageLimit.INPUT_TOKENS)).isEqualTo(2);
        assertThat(limits.of(UsageLimit.OUTPUT_TOKENS)).isEqualTo(3);
        assertThat(limits.of(UsageLimit.TOTAL_TOKENS)).isEqualTo(4);
        assertThat(limits.notifying(reached -> {}).requests()).isEqualTo(1);
        for (UsageLimit limit : UsageLimit.values()) {
            assertThat(UsageLimits.NONE.of(limit)).isNull();
        }
    }

    @Test
    @DisplayName("a limit below 1 is refused by its name, the rule and the value")
    void badValues() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UsageLimits.NONE.withRequests(0))
                .withMessage("requests must be 1 or more, but is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UsageLimits.NONE.withInputTokens(-1))
                .withMessage("inputTokens must be 1 or more, but is -1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UsageLimits.NONE.withOutputTokens(0))
                .withMessage("outputTokens must be 1 or more, but is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UsageLimits.NONE.withTotalTokens(0))
                .withMessage("totalTokens must be 1 or more, but is 0");
        assertThatNullPointerException()
                .isThrownBy(() -> UsageLimits.NONE.notifying(null))
                .withMessage("listener");
    }

    @Test
    @DisplayName("the error says run, limit, used and asked, of tokens that one is the least that is asked for")
    void message() {
        assertThat(error(UsageLimit.REQUESTS)).hasMessage("""
                run "r-1": the limit is 10 requests, 10 are used, and 1 more is asked for""");
        assertThat(error(UsageLimit.INPUT_TOKENS)).hasMessage("""
                run "r-1": the limit is 10 input tokens, 10 are used, and at least 1 more is asked for""");
        assertThat(error(UsageLimit.OUTPUT_TOKENS)).hasMessageContaining("is 10 output tokens,");
        assertThat(error(UsageLimit.TOTAL_TOKENS)).hasMessageContaining("is 10 tokens in total,");
    }

    @Test
    @DisplayName("the error keeps its figures through Java serialization, but not the run's usage")
    void serialized() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(error(UsageLimit.REQUESTS));
        }
        UsageLimitExceededException read;
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            read = (UsageLimitExceededException) in.readObject();
        }

        assertThat(read.limit()).isEqualTo(UsageLimit.REQUESTS);
        assertThat(read.used()).isEqualTo(10);
        assertThat(read.usage()).isSameAs(RunUsage.EMPTY);
    }

    private static UsageLimitExceededException error(UsageLimit limit) {
        return new UsageLimitExceededException(new UsageLimitReached("r-1", limit, 10, 10, 1, new RunTally().usage()));
    }
}
