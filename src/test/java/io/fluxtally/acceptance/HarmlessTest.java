package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.AppRun;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.loopback.ExchangeEnd;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;

/** Measuring never changes what the app sees: the same responses with and without Fluxtally, element by element. */
@DisplayName("The app's stream stays exactly as it is")
class HarmlessTest {

    private static final Duration PATIENCE = Duration.ofSeconds(120);
    private static final int LONG = 10_000;
    private static final Prompt PROMPT = new Prompt("上海天气怎么样？");

    static Stream<Arguments> scenariosByEngine() {
        return ScenarioBillTest.scenariosByEngine();
    }

    @ParameterizedTest
    @MethodSource("scenariosByEngine")
    @DisplayName("in every starter scenario")
    void everyScenario(Scenario scenario, Engine engine) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            AppRun stock = engine.stock(scenario, provider.baseUrl("stock")).block(PATIENCE);
            AppRun measured =
                    engine.measured(scenario, provider.baseUrl("measured")).block(PATIENCE);

            // What Alibaba's outputs carry is the usage that is repaired; its adapter's own tests compare the rest.
            if (engine != Engine.ALIBABA) {
                assertThat(comparable(scenario, measured.responses()))
                        .isEqualTo(comparable(scenario, stock.responses()));
            }
            assertThat(errorChain(measured.error())).isEqualTo(errorChain(stock.error()));
        }
    }

    /**
     * DashScope's client emits a usage that trails a tool round while the tool runs (L11), so in a tool loop the order of
     * elements differs between two runs of the same bytes.
     */
    private static List<String> comparable(Scenario scenario, List<ChatResponse> responses) {
        List<String> texts = new ArrayList<>(texts(responses));
        if (!scenario.tools().isEmpty()) {
            Collections.sort(texts);
        }
        return texts;
    }

    @Test
    @DisplayName("when the usage sink fails (T22)")
    void failingSink() {
        Scenario scenario = Scenarios.load("dashscope-plain-stream");
        long failuresBefore = MeasuringFailures.count();
        UsageRecorder recorder = UsageRecorder.withSinks(request -> {
            throw new IllegalStateException("the sink is full");
        });
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            Seen stock = see(DashScopeClient.stock(provider.baseUrl("stock")), RunScope.start());
            RunScope run = RunScope.start();
            Seen measured = see(tapped(provider.baseUrl("measured"), recorder), run);

            assertThat(measured).isEqualTo(stock);
            assertThat(run.usage().isComplete()).isTrue();
            assertThat(MeasuringFailures.count()).isEqualTo(failuresBefore + 1);
        }
    }

    @Test
    @DisplayName("when a frame is malformed")
    void malformedFrame() {
        // The client dies of it and leaves; the provider waits there, so that what is under way is always the same.
        String body = frame("晴", "null", 5, 1) + "data:{\"output\":{\"choices\":[{\"mess\n\n";

        RequestUsage request = compared(Response.of(body).endingWith(End.HANG));

        assertThat(request.source()).isEqualTo(UsageSource.PARTIAL);
        assertThat(request.outcome()).isEqualTo(RequestOutcome.CANCELLED);
        assertThat(request.usage().outputTokens()).isEqualTo(1);
    }

    @Test
    @DisplayName("when one event is 50 MB, which passes unread")
    void hugeEvent() {
        String body = frame("晴", "null", 5, 1)
                + frame("雨".repeat(50 * 1024 * 1024 / 3), "null", 5, 2)
                + frame("。", "stop", 5, 3);

        RequestUsage request = compared(Response.of(body));

        assertThat(request.source()).isEqualTo(UsageSource.REPORTED);
        assertThat(request.usage().outputTokens()).isEqualTo(3);
    }

    @Test
    @DisplayName("when the provider hangs, and the connection closes as soon as the app leaves")
    void hangingProvider() {
        Response response = Response.of(frame("晴", "null", 5, 1)).endingWith(End.HANG);
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(response))) {
            Seen stock = see(
                    Flux.from(DashScopeClient.stock(provider.baseUrl("stock")).stream(PROMPT))
                            .take(1),
                    RunScope.start());
            RunScope run = RunScope.start();
            Seen measured = see(
                    tapped(provider.baseUrl("measured"), UsageRecorder.withSinks()).stream(PROMPT)
                            .take(1),
                    run);

            assertThat(measured).isEqualTo(stock);
            assertThat(provider.requests("measured")
                            .get(0)
                            .ended()
                            .orTimeout(30, TimeUnit.SECONDS)
                            .join())
                    .isEqualTo(ExchangeEnd.CLIENT_LEFT);
            assertThat(run.usage().requests())
                    .singleElement()
                    .satisfies(request -> assertThat(request.source()).isEqualTo(UsageSource.PARTIAL))
                    .satisfies(request ->
                            assertThat(request.usage().outputTokens()).isEqualTo(1));
        }
    }

    /** Compares stock and tapped client over one response; returns the one request that was booked. */
    private static RequestUsage compared(Response response) {
        try (LoopbackProvider provider = LoopbackProvider.start(Mode.STREAM, List.of(response))) {
            Seen stock = see(DashScopeClient.stock(provider.baseUrl("stock")), RunScope.start());
            RunScope run = RunScope.start();
            Seen measured = see(tapped(provider.baseUrl("measured"), UsageRecorder.withSinks()), run);

            assertThat(measured.texts()).isEqualTo(stock.texts());
            assertThat(measured.errors()).isEqualTo(stock.errors());
            assertThat(run.usage().requests()).hasSize(1);
            return run.usage().requests().get(0);
        }
    }

    private static ChatModel tapped(String baseUrl, UsageRecorder recorder) {
        WireTap tap = WireTap.builder().recorder(recorder).build();
        return UsageChatModel.of(DashScopeClient.tapped(baseUrl, tap), recorder);
    }

    private static Seen see(ChatModel model, RunScope run) {
        return see(model.stream(PROMPT), run);
    }

    private static Seen see(Flux<ChatResponse> stream, RunScope run) {
        List<ChatResponse> responses = new ArrayList<>();
        Throwable error = null;
        try {
            run.wrap(stream).doOnNext(responses::add).blockLast(PATIENCE);
        } catch (RuntimeException e) {
            error = e;
        }
        return new Seen(texts(responses), errorChain(error));
    }

    /** What an app saw. */
    private record Seen(List<String> texts, List<String> errors) {}

    private static List<String> texts(List<ChatResponse> responses) {
        return responses.stream().map(HarmlessTest::text).toList();
    }

    /** All that an app can tell of a response, but Micrometer's and HTTP's chance values. */
    private static String text(ChatResponse response) {
        String results = String.valueOf(response.getResults());
        return (results.length() > LONG ? results.length() + "#" + results.hashCode() : results) + " "
                + response.getMetadata().getId() + " " + response.getMetadata().getModel() + " " + usage(response);
    }

    private static String usage(ChatResponse response) {
        var usage = response.getMetadata().getUsage();
        return usage.getClass().getSimpleName() + usage.getPromptTokens() + "/" + usage.getCompletionTokens();
    }

    private static List<String> errorChain(Throwable error) {
        List<String> chain = new ArrayList<>();
        for (Throwable e = error; e != null; e = e.getCause()) {
            chain.add(e.getClass().getName());
        }
        return chain;
    }

    private static String frame(String text, String finishReason, int input, int output) {
        return ("data:{\"output\":{\"choices\":[{\"message\":{\"content\":\"%s\",\"role\":\"assistant\"},\"index\":0,"
                        + "\"finish_reason\":\"%s\"}]},\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d,"
                        + "\"total_tokens\":%d},\"request_id\":\"R1\"}%n%n")
                .formatted(Objects.requireNonNull(text), finishReason, input, output, input + output)
                .replace("\r", "");
    }
}
