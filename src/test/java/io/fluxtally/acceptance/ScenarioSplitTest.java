package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Family;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireRequest;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.dialect.RequestHead;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** However a body is cut on its way, the wire tap reads the same of it. */
@DisplayName("Every starter scenario")
class ScenarioSplitTest {

    private static final int RANDOM_CUTS = 200;

    private final WireTap tap =
            WireTap.builder().recorder(UsageRecorder.withSinks()).build();

    static Stream<Scenario> scenarios() {
        return Scenarios.all().stream();
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    @DisplayName("is read the same, wherever its bodies are cut")
    void cutAnywhere(Scenario scenario) {
        Random random = new Random(scenario.name().hashCode());
        for (Response response : scenario.responses()) {
            byte[] body = response.body().getBytes(StandardCharsets.UTF_8);
            Reading whole = read(scenario, response, body, List.of());
            for (int cut = 1; cut < body.length; cut++) {
                assertThat(read(scenario, response, body, List.of(cut)))
                        .as("cut at %d", cut)
                        .isEqualTo(whole);
            }
            for (int i = 0; i < RANDOM_CUTS; i++) {
                List<Integer> cuts = random.ints(1 + random.nextInt(40), 0, body.length + 1)
                        .sorted()
                        .boxed()
                        .toList();
                assertThat(read(scenario, response, body, cuts))
                        .as("cut at %s", cuts)
                        .isEqualTo(whole);
            }
        }
    }

    /** What was booked, but times and chance ids. */
    private record Reading(TokenUsage usage, UsageSource source, RequestOutcome outcome, String responseId) {}

    private Reading read(Scenario scenario, Response response, byte[] body, List<Integer> cuts) {
        RunScope run = RunScope.start();
        WireRequest request = tap.open(new RequestHead("POST", path(scenario.family()), header -> false), run);
        request.responded(response.status(), contentType(scenario, response), null);
        List<Integer> ends = new ArrayList<>(cuts);
        ends.add(body.length);
        int start = 0;
        for (int end : ends) {
            request.body(ByteBuffer.wrap(body, start, end - start));
            start = end;
        }
        end(request, response.end());
        RequestUsage booked = run.usage().requests().get(0);
        return new Reading(booked.usage(), booked.source(), booked.outcome(), booked.responseId());
    }

    private static void end(WireRequest request, End end) {
        switch (end) {
            case COMPLETE -> request.completed();
            case RESET -> request.failed();
            case HANG -> request.cancelled();
        }
    }

    private static String contentType(Scenario scenario, Response response) {
        String byMode = scenario.mode() == Mode.STREAM ? "text/event-stream" : "application/json";
        return response.headers().getOrDefault("content-type", byMode);
    }

    private static String path(Family family) {
        return switch (family) {
            case DASHSCOPE -> "/api/v1/services/aigc/text-generation/generation";
            case OPENAI -> "/v1/chat/completions";
            case ANTHROPIC -> "/v1/messages";
            case GEMINI -> "/v1beta/models/gemini:generateContent";
            case OLLAMA -> "/api/chat";
        };
    }
}
