package io.fluxtally.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RequestUsageTest {

    @Test
    @DisplayName("a request of which nothing is known is a completed first attempt whose figure is missing")
    void defaults() {
        RequestUsage request = Samples.request("r1").build();

        assertThat(request.requestId()).isEqualTo("r1");
        assertThat(request.start()).isEqualTo(Samples.START);
        assertThat(request.source()).isEqualTo(UsageSource.MISSING);
        assertThat(request.usage()).isNull();
        assertThat(request.outcome()).isEqualTo(RequestOutcome.COMPLETED);
        assertThat(request.attempt()).isEqualTo(1);
        assertThat(request.duration()).isEqualTo(Duration.ZERO);
        assertThat(request.reported()).isEmpty();
        assertThat(request)
                .extracting(
                        RequestUsage::runId,
                        RequestUsage::callId,
                        RequestUsage::responseId,
                        RequestUsage::agent,
                        RequestUsage::node,
                        RequestUsage::round,
                        RequestUsage::provider,
                        RequestUsage::requestModel,
                        RequestUsage::responseModel,
                        RequestUsage::timeToFirstChunk)
                .containsOnlyNulls();
    }

    @Test
    @DisplayName("a builder puts every figure and label where it belongs, and one from a request has all of it")
    void everyField() {
        RequestUsage request = Samples.request("r1")
                .runId("run")
                .callId("call")
                .responseId("response")
                .agent("agent")
                .node("node")
                .round(3)
                .attempt(2)
                .labels(Map.of(RequestUsage.USER, "u1"))
                .provider("dashscope")
                .requestModel("qwen")
                .responseModel("qwen-plus")
                .usage(TokenUsage.of(1, 2), UsageSource.PARTIAL)
                .reported(Map.of("usage.input_tokens", 1L))
                .outcome(RequestOutcome.CANCELLED)
                .timeToFirstChunk(Duration.ofMillis(4))
                .duration(Duration.ofMillis(5))
                .build();

        assertThat(request)
                .isEqualTo(new RequestUsage(
                        "r1",
                        "run",
                        "call",
                        "response",
                        "agent",
                        "node",
                        3,
                        2,
                        Map.of("user", "u1"),
                        "dashscope",
                        "qwen",
                        "qwen-plus",
                        TokenUsage.of(1, 2),
                        Map.of("usage.input_tokens", 1L),
                        UsageSource.PARTIAL,
                        RequestOutcome.CANCELLED,
                        Samples.START,
                        Duration.ofMillis(4),
                        Duration.ofMillis(5)));
        assertThat(request.toBuilder().build()).isEqualTo(request);
    }

    @Test
    @DisplayName("T15: the model is the one that answered, else the one asked for, and an empty name is none")
    void model() {
        assertThat(Samples.request("r").build().model()).isNull();
        assertThat(Samples.request("r").requestModel("asked").build().model()).isEqualTo("asked");
        assertThat(Samples.request("r")
                        .requestModel("asked")
                        .responseModel("answered")
                        .build()
                        .model())
                .isEqualTo("answered");
        assertThat(Samples.request("r")
                        .requestModel("asked")
                        .responseModel("")
                        .build()
                        .model())
                .isEqualTo("asked");
        assertThat(Samples.request("r").requestModel("").build().model()).isNull();
        assertThat(Samples.request("r").responseId("").build().responseId()).isNull();
    }

    @ParameterizedTest
    @EnumSource(
            value = UsageSource.class,
            names = {"REPORTED", "PARTIAL", "ESTIMATED"})
    @DisplayName("T14: a figure that is said to be known must be there")
    void usageMustBeThere(UsageSource source) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Samples.request("r").usage(null, source).build())
                .withMessage("usage must be null exactly if source is MISSING, but source is %s and usage is null"
                        .formatted(source));
    }

    @Test
    @DisplayName("T14: a missing figure cannot be given, not even as zero")
    void usageMustBeMissing() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Samples.request("r")
                        .usage(TokenUsage.ZERO, UsageSource.MISSING)
                        .build())
                .withMessage("usage must be null exactly if source is MISSING, but source is MISSING and usage is"
                        + " TokenUsage[input_tokens=0, output_tokens=0, total_tokens=0]");
    }

    @Test
    @DisplayName("attempts and rounds are counted from 1")
    void ordinals() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Samples.request("r").attempt(0).build())
                .withMessage("attempt must be 1 or more, but is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Samples.request("r").round(0).build())
                .withMessage("round must be 1 or more, but is 0");
        assertThat(Samples.request("r").round(1).attempt(1).build().round()).isEqualTo(1);
    }

    @Test
    @DisplayName("what every request has is never null")
    void required() {
        assertThatNullPointerException()
                .isThrownBy(() -> RequestUsage.builder(null, Samples.START).build())
                .withMessage("requestId");
        assertThatNullPointerException()
                .isThrownBy(() -> RequestUsage.builder("r", null).build())
                .withMessage("start");
        assertThatNullPointerException()
                .isThrownBy(() -> Samples.request("r").outcome(null).build())
                .withMessage("outcome");
        assertThatNullPointerException()
                .isThrownBy(() -> Samples.request("r").duration(null).build())
                .withMessage("duration");
        assertThatNullPointerException()
                .isThrownBy(() -> Samples.request("r").usage(null, null).build())
                .withMessage("source");
    }
}
