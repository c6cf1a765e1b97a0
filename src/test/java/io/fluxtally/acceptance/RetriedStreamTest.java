package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.assertj.core.groups.Tuple;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.prompt.Prompt;

/** The stock clients ask again in a blocking call only, which scenarios show; in a stream it is the app that does. */
@DisplayName("A stream that the app asks for again")
class RetriedStreamTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    static Stream<Arguments> firstAttempts() {
        return Stream.of(
                Arguments.argumentSet(
                        "refused",
                        "dashscope-internal-error-stream",
                        UsageSource.REPORTED,
                        RequestOutcome.REJECTED,
                        0L),
                Arguments.argumentSet(
                        "failed in the middle",
                        "dashscope-error-frame-stream",
                        UsageSource.PARTIAL,
                        RequestOutcome.FAILED,
                        52L),
                Arguments.argumentSet(
                        "reset", "dashscope-reset-stream", UsageSource.PARTIAL, RequestOutcome.FAILED, 35L));
    }

    @ParameterizedTest
    @MethodSource("firstAttempts")
    @DisplayName("books each attempt on its own (T8)")
    void everyAttempt(String scenario, UsageSource source, RequestOutcome outcome, long tokens) {
        List<Response> responses = Stream.of(scenario, "dashscope-plain-stream")
                .flatMap(name -> Scenarios.load(name).responses().stream())
                .toList();
        UsageRecorder recorder = UsageRecorder.withSinks();
        RunScope run = RunScope.start();
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, responses)) {
            WireTap tap = WireTap.builder().recorder(recorder).build();
            UsageChatModel.of(DashScopeClient.tapped(provider.baseUrl(), tap), recorder).stream(new Prompt("上海天气怎么样？"))
                    .retry(1)
                    .transform(run::wrap)
                    .blockLast(PATIENCE);
        }

        assertThat(run.usage().requests())
                .extracting(
                        RequestUsage::source,
                        RequestUsage::outcome,
                        request -> request.usage().totalTokens())
                .containsExactly(
                        Tuple.tuple(source, outcome, tokens),
                        Tuple.tuple(UsageSource.REPORTED, RequestOutcome.COMPLETED, 34L));
        assertThat(run.usage().total().totalTokens()).isEqualTo(tokens + 34);
    }
}
