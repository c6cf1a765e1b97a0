package io.fluxtally.conformance.clients;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.common.DashScopeException;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.Chunking;
import io.fluxtally.conformance.loopback.ExchangeEnd;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.loopback.ReceivedRequest;
import io.fluxtally.conformance.scenario.BilledRequest;
import io.fluxtally.conformance.scenario.Client;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.retry.NonTransientAiException;
import org.springframework.web.reactive.function.client.WebClientResponseException;

/**
 * The starter scenarios are what real clients can read, and these lose what the kit is there to show. The codes D.. and O.. are those
 * of the lab that found it.
 */
@Timeout(60)
class RealClientsTest {

    /**
     * What an app sees of a scenario: input and output of the last usage, the text of all elements, and its error.
     */
    private record Expected(
            String scenario,
            String usage,
            String text,
            @Nullable Class<? extends Throwable> error) {

        static Expected seen(String scenario, String usage, String text) {
            return new Expected(scenario, usage, text, null);
        }

        Expected failing(Class<? extends Throwable> type) {
            return new Expected(scenario, usage, text, type);
        }

        @Override
        public String toString() {
            return scenario + " -> " + usage;
        }
    }

    private static final Pattern TOOL_CALL = Pattern.compile("\"id\":\"call_[^\"]+\"");

    private static final String ANY_ROUND = "that of a round, or of all so far";

    private static final String TRIP = "周六上午去豫园，下午 the Bund；周日带伞，去上海博物馆。";

    static Stream<Expected> seenByTheStockApp() {
        return Stream.of(
                Expected.seen("dashscope-plain-stream", "26/8", "上海今天多云，最高二十六度。"),
                Expected.seen("dashscope-thinking-stream", "20/54", "周六去豫园，周日逛外滩。"),
                // D04
                Expected.seen("dashscope-tool-loop-stream", "260/6", "上海今天多云, 26°C."),
                // D08: each frame repeats the text so far
                Expected.seen("dashscope-tool-loop-full-output-stream", "260/3", "上海上海多云上海多云。"),
                // L11: which usage comes last is not the same in every run
                Expected.seen("dashscope-three-rounds-usage-only-stream", ANY_ROUND, TRIP),
                Expected.seen("dashscope-three-rounds-last-content-stream", "6000/2500", TRIP),
                Expected.seen("dashscope-three-rounds-running-stream", "6000/2500", TRIP),
                Expected.seen("dashscope-three-rounds-call", "6000/2500", TRIP),
                // D11
                Expected.seen("dashscope-empty-usage-stream", "0/0", "").failing(NullPointerException.class),
                Expected.seen("dashscope-usage-only-stream", "31/7", "春眠不觉晓。"),
                // D16
                Expected.seen("dashscope-error-frame-stream", "48/4", "这个问题").failing(DashScopeException.class),
                // D17
                Expected.seen("dashscope-reset-stream", "30/5", "床前明月光").failing(Exception.class),
                // D17b: the app is not told
                Expected.seen("dashscope-clean-cut-stream", "30/5", "疑是地上霜"),
                // D27
                Expected.seen("dashscope-two-choices-stream", "100/31", "晴雨天天出游读书"),
                Expected.seen("dashscope-call", "100/8", "上海今天多云，26°C。"),
                // D13
                Expected.seen("dashscope-call-output-text", "0/0", ""),
                // D18
                Expected.seen("dashscope-hang-cancel-stream", "40/6", "从前有座山，山上"),
                Expected.seen("openai-plain-stream", "24/7", "你好，今天想去哪里？"),
                // O03; L11 as above
                Expected.seen("openai-tool-loop-stream", ANY_ROUND, "上海今天多云。"),
                Expected.seen("openai-no-usage-stream", "0/0", "好的。"),
                // O10; the first element has no text
                Expected.seen("openai-cancel-stream", "0/0", "从前有"),
                Expected.seen("openai-call", "24/7", "上海今天多云。"),
                Expected.seen("openai-tool-loop-call", "460/26", "上海今天多云。"),
                // O05
                Expected.seen("openai-usage-on-every-chunk-stream", "100/5", "白日依山尽。"),
                Expected.seen("openai-azure-first-chunk-stream", "24/6", "白日依山尽。"),
                // O07
                Expected.seen("openai-choice-without-delta-stream", "0/0", "黄河入海流。"),
                // O12: the first round's, on the second's chunks
                Expected.seen("openai-tool-loop-second-round-without-usage-stream", "200/20", "上海今天多云。"),
                // O14; the client looks one chunk ahead, and loses the one it holds
                Expected.seen("openai-reset-stream", "0/0", "欲穷").failing(Exception.class),
                // O16
                Expected.seen("openai-unknown-finish-stream", "0/0", "更上").failing(Exception.class),
                Expected.seen("openai-rate-limit-stream", "0/0", "")
                        .failing(WebClientResponseException.TooManyRequests.class),
                // D15
                Expected.seen("dashscope-missing-request-id-stream", "40/2", "独在")
                        .failing(NullPointerException.class),
                // D22
                Expected.seen("dashscope-unknown-finish-stream", "40/3", "为异客").failing(Exception.class),
                // D25
                Expected.seen("dashscope-search-plugins-stream", "2000/9", "每逢佳节倍思亲。"),
                // D12b: the app fails when it asks for the counts, not before
                Expected.seen("dashscope-details-only-call", "0/0", "遍插茱萸少一人。"),
                // D14
                Expected.seen("dashscope-call-null-output", "0/0", "").failing(NullPointerException.class),
                // D02: each frame repeats the text so far
                Expected.seen("dashscope-full-output-stream", "26/12", "白日白日依山尽白日依山尽，黄河白日依山尽，黄河入海流。"),
                // D10
                Expected.seen("dashscope-thinking-full-output-stream", "22/25", "周六周六去豫园。"),
                // D05
                Expected.seen("dashscope-three-loops-stream", "500/6", "上海今天多云, 26°C。"),
                // D06
                Expected.seen("dashscope-tool-loop-call", "260/6", "上海今天多云，26°C。"),
                // D07
                Expected.seen("dashscope-three-loops-call", "500/6", "三城皆多云。"),
                // D09, L11: as above
                Expected.seen("dashscope-tool-loop-trailing-usage-stream", ANY_ROUND, "上海多云。"),
                // D12
                Expected.seen("dashscope-details-only-stream", "0/0", "遍插茱萸").failing(NullPointerException.class),
                // D13b
                Expected.seen("dashscope-output-text-stream", "100/8", ""),
                // D14b
                Expected.seen("dashscope-null-output-stream", "100/8", "芳草萋萋鹦鹉洲。"),
                // D20
                Expected.seen("dashscope-multimodal-stream", "1300/11", "一只黄鹂。"),
                // D21
                Expected.seen("dashscope-two-tool-calls-stream", "0/0", "").failing(IllegalStateException.class),
                Expected.seen("dashscope-two-whole-tool-calls-stream", "290/3", "两地皆晴。"),
                // D23: no tool is run
                Expected.seen("dashscope-empty-choices-in-tool-call-stream", "200/20", ""),
                // D24
                Expected.seen("dashscope-tool-loop-error-second-round-stream", "260/4", "上海今天")
                        .failing(DashScopeException.class),
                Expected.seen("dashscope-tool-loop-reset-second-round-stream", "260/4", "上海今天多云")
                        .failing(Exception.class),
                Expected.seen("dashscope-explicit-cache-call", "3000/12", "洛阳亲友如相问。"),
                Expected.seen("dashscope-older-cached-tokens-call", "640/9", "一片冰心在玉壶。"),
                // D26
                Expected.seen("dashscope-speech-characters-call", "0/0", ""),
                Expected.seen("dashscope-throttled-call", "0/0", "").failing(NonTransientAiException.class),
                Expected.seen("dashscope-internal-error-stream", "0/0", "")
                        .failing(WebClientResponseException.InternalServerError.class),
                Expected.seen("dashscope-retried-call", "100/8", "停车坐爱枫林晚。"),
                // O06
                Expected.seen("openai-usage-on-finish-chunk-stream", "30/6", "大漠孤烟直。"),
                Expected.seen("openai-groq-usage-twice-stream", "45/6", "长河落日圆。"),
                // O08: the app is not told
                Expected.seen("openai-error-in-stream", "100/4", "春潮带雨"),
                // O09
                Expected.seen("openai-call-without-choices", "0/0", ""),
                // O13
                Expected.seen("openai-tool-loop-first-round-without-usage-stream", "260/6", "上海今天多云。"),
                // O15; L11 as above
                Expected.seen("openai-three-loops-stream", ANY_ROUND, "上海今天多云。"),
                Expected.seen("openai-three-loops-call", "1400/96", "多云。"),
                Expected.seen("openai-usage-with-null-choices-stream", "31/7", "明月松间照。"),
                Expected.seen("openai-xai-reasoning-beside-output-stream", "12/2", "清泉"),
                Expected.seen("openai-xai-reasoning-beside-output-call", "12/2", "石上流。"),
                Expected.seen("openai-dashscope-cache-stream", "3000/40", "周六去豫园。"),
                Expected.seen("openai-cache-write-and-audio-call", "1500/60", "月落乌啼霜满天。"),
                Expected.seen("openai-two-tool-calls-stream", ANY_ROUND, "两地皆晴。"),
                Expected.seen("openai-internal-error-stream", "0/0", "")
                        .failing(WebClientResponseException.InternalServerError.class),
                Expected.seen("openai-rate-limit-call", "0/0", "").failing(NonTransientAiException.class),
                Expected.seen("openai-retried-call", "24/9", "江枫渔火对愁眠。"),
                Expected.seen("openai-gateway-timeout-then-call", "24/9", "夜半钟声到客船。"));
    }

    @ParameterizedTest
    @MethodSource("seenByTheStockApp")
    void theStockAppSeesWhatTheLabSaw(Expected expected) throws Exception {
        Scenario scenario = Scenarios.load(expected.scenario());
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            StockApp app = new StockApp(scenario, provider.baseUrl());

            StockApp.Seen seen = app.run();

            if (expected.error() == null) {
                assertThat(seen.error()).isNull();
            } else {
                assertThat(seen.error()).isNotNull();
                assertThat(Stream.iterate(seen.error(), e -> e != null, Throwable::getCause))
                        .hasAtLeastOneElementOfType(expected.error());
            }
            assertThat(seen.text()).isEqualTo(expected.text());
            if (expected.usage().equals(ANY_ROUND)) {
                assertThat(seen.usage()).isIn(usageOfRounds(scenario));
            } else {
                assertThat(seen.usage()).isEqualTo(expected.usage());
            }
            assertThat(provider.requestCount()).isEqualTo(scenario.responses().size());
            assertThat(app.toolInputs())
                    .hasSize(toolCallsBeforeTheLastResponse(scenario))
                    .allSatisfy(input -> assertThat(input.get("city")).isIn("上海", "苏州", "杭州"));
        }
    }

    /** What may come last of the usage of rounds: that of each alone, as DashScope's client has it, or of all so far. */
    private static List<String> usageOfRounds(Scenario scenario) {
        List<String> usages = new ArrayList<>();
        long inputs = 0;
        long outputs = 0;
        for (BilledRequest request : scenario.billed().requests()) {
            long input = request.figures().get(TokenKey.INPUT_TOKENS).getAsLong();
            long output = request.figures().get(TokenKey.OUTPUT_TOKENS).getAsLong();
            inputs += input;
            outputs += output;
            usages.add(input + "/" + output);
            usages.add(inputs + "/" + outputs);
        }
        return usages;
    }

    private static int toolCallsBeforeTheLastResponse(Scenario scenario) {
        List<Response> responses = scenario.responses();
        return responses.subList(0, responses.size() - 1).stream()
                .mapToInt(response -> (int) TOOL_CALL
                        .matcher(response.body())
                        .results()
                        .map(MatchResult::group)
                        .distinct()
                        .count())
                .sum();
    }

    /** The other clients are run by the engines. */
    static Stream<Scenario> ofTheseClients() {
        return Scenarios.all().stream()
                .filter(scenario -> scenario.client() == Client.DASHSCOPE || scenario.client() == Client.OPENAI);
    }

    @Test
    void everyStarterScenarioIsSeenByItsRealClient() {
        assertThat(seenByTheStockApp())
                .extracting(Expected::scenario)
                .isEqualTo(ofTheseClients().map(Scenario::name).toList());
    }

    @ParameterizedTest
    @MethodSource("ofTheseClients")
    void theClientsSeeTheSameHoweverTheBytesAreCut(Scenario scenario) throws Exception {
        // A client that leaves early may see more or less of what is under way.
        if (scenario.cancelAfter() != null || scenario.name().equals("dashscope-empty-usage-stream")) {
            return;
        }
        StockApp.Seen byEvent = run(scenario, LoopbackProvider.builder());
        for (Chunking chunking : List.of(Chunking.everyBytes(7), Chunking.whole(), Chunking.atOffsets(1, 100, 101))) {
            StockApp.Seen cut = run(scenario, LoopbackProvider.builder().chunking(chunking));

            // A usage that trails a tool round is emitted while the tool runs (L11), so in a loop the last one differs.
            if (scenario.tools().isEmpty()) {
                assertThat(cut.usage()).as(chunking.toString()).isEqualTo(byEvent.usage());
            }
            assertThat(cut.text()).as(chunking.toString()).isEqualTo(byEvent.text());
        }
        if (scenario.mode() == Mode.STREAM) {
            assertThat(run(scenario, LoopbackProvider.builder().gzip(true)).text())
                    .isEqualTo(byEvent.text());
        }
    }

    @Test
    void theEmptyUsageFrameCostsTheAppEveryElement() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-empty-usage-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            assertThat(new StockApp(scenario, provider.baseUrl()).run().elements())
                    .isEmpty();
        }
    }

    @Test
    void aClientThatCancelsClosesTheConnection() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-hang-cancel-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            StockApp.Seen seen = new StockApp(scenario, provider.baseUrl()).run();

            assertThat(seen.elements()).hasSize(3);
            assertThat(provider.request(0).thenCompose(ReceivedRequest::ended).get(10, TimeUnit.SECONDS))
                    .isEqualTo(ExchangeEnd.CLIENT_LEFT);
        }
    }

    /** So that the bill of a stream that is left early does not depend on how fast the bytes were. */
    @RepeatedTest(20)
    void aFilterSeesAsMuchOfAStreamLeftEarlyAsIsBilled() throws Exception {
        assertThat(frames("dashscope-hang-cancel-stream")).isEqualTo(3);
        assertThat(frames("dashscope-empty-usage-stream")).isEqualTo(1);
        // The client looks one chunk ahead.
        assertThat(frames("openai-cancel-stream")).isEqualTo(4);
    }

    private static int frames(String name) throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            StockApp app = new StockApp(scenario, provider.baseUrl());
            app.run();
            return app.wire().split("\n\n").length;
        }
    }

    @Test
    void theThinkingIsInTheStreamToo() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-thinking-stream");
        StockApp.Seen seen = run(scenario, LoopbackProvider.builder());

        assertThat(seen.elements().stream()
                        .map(ChatResponse::getResult)
                        .map(result ->
                                String.valueOf(result.getOutput().getMetadata().get("reasoningContent"))))
                .startsWith("用户", "问的是", "行程，先看", "天气。");
    }

    @Test
    void theUsageOfAnOpenAiStreamIsOnTwoElements() throws Exception {
        StockApp.Seen seen = run(Scenarios.load("openai-plain-stream"), LoopbackProvider.builder());

        // O01
        assertThat(seen.elements().stream()
                        .filter(element -> element.getMetadata().getUsage().getTotalTokens() > 0))
                .hasSize(2);
    }

    @Test
    void theToolsGetTheirArgumentsInOnePiece() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-three-rounds-running-stream");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            StockApp app = new StockApp(scenario, provider.baseUrl());
            app.run();

            assertThat(app.toolInputs()).containsExactly(Map.of("city", "上海"), Map.of("city", "上海", "days", 2));
        }
    }

    @Test
    void aRoundBeyondTheScenarioIsAnErrorOfTheApp() throws Exception {
        Scenario scenario = Scenarios.load("dashscope-tool-loop-stream");
        try (LoopbackProvider provider =
                LoopbackProvider.start(Mode.STREAM, List.of(scenario.responses().get(0)))) {
            StockApp.Seen seen = new StockApp(scenario, provider.baseUrl()).run();

            assertThat(seen.error()).isInstanceOf(WebClientResponseException.InternalServerError.class);
        }
    }

    private static StockApp.Seen run(Scenario scenario, LoopbackProvider.Builder builder) throws Exception {
        try (LoopbackProvider provider = builder.start(scenario)) {
            return new StockApp(scenario, provider.baseUrl()).run();
        }
    }
}
