package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.azure.ai.openai.OpenAIClientBuilder;
import com.azure.core.http.HttpPipelineBuilder;
import com.google.genai.Client;
import com.google.genai.types.HttpOptions;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.End;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.chat.ChatUsage;
import io.fluxtally.usage.chat.UsageChatModel;
import io.fluxtally.usage.scope.RunScope;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.azure.openai.AzureOpenAiChatModel;
import org.springframework.ai.azure.openai.AzureOpenAiChatOptions;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.google.genai.GoogleGenAiChatModel;
import org.springframework.ai.google.genai.GoogleGenAiChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;

/** Clients that speak HTTP by an SDK of their own, which no tap can be put into: what their chunks come to. */
@Tag("every-spring-ai")
@DisplayName("Clients without a seam for the wire tap")
class SdkClientsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final RunScope run = RunScope.start();

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            openai-plain-stream             | REPORTED 24/7
            openai-azure-first-chunk-stream | REPORTED 24/6
            openai-tool-loop-stream         | REPORTED 200/20 cached 64, REPORTED 260/6
            openai-tool-loop-second-round-without-usage-stream | REPORTED 200/20, MISSING
            openai-no-usage-stream          | MISSING
            openai-call                     | REPORTED 24/7
            openai-tool-loop-call           | PARTIAL 460/26
            """)
    @DisplayName("Azure's: OpenAI's chunks, the first round's usage-only one last")
    void azure(String name, String expected) throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            ChatModel model = UsageChatModel.of(AzureOpenAiChatModel.builder()
                    .openAIClientBuilder(new OpenAIClientBuilder()
                            .endpoint(provider.baseUrl())
                            .pipeline(new HttpPipelineBuilder().build()))
                    .build());
            AzureOpenAiChatOptions.Builder options = AzureOpenAiChatOptions.builder()
                    .deploymentName("gpt-4o")
                    .streamUsage(scenario.mode() == Mode.STREAM);
            if (!scenario.tools().isEmpty()) {
                options.toolCallbacks(tool());
            }
            Prompt prompt = new Prompt("How is the weather?", options.build());

            if (scenario.mode() == Mode.STREAM) {
                run.wrap(model.stream(prompt)).blockLast(PATIENCE);
            } else {
                run.call(() -> model.call(prompt));
            }
        }
        assertThat(counted()).isEqualTo(expected);
    }

    private static final String THINKING = geminiStream(
            gemini("a", usage(9, 1, 185, 4)), gemini("b", usage(9, 3, 185, 4)), geminiLast("c", usage(9, 5, 185, 4)));

    private static final String ASKS_TOOL = geminiStream("""
            {"candidates":[{"content":{"parts":[{"functionCall":{"name":"get_weather","args":{}}}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":%s,"modelVersion":"gemini-2.5-flash"}""".formatted(usage(200, 20, 0, 0)));

    @Test
    @DisplayName("Google's: running totals, with thoughts beside the output and in it here")
    void gemini() {
        stream(ask(THINKING), THINKING);

        assertThat(counted()).isEqualTo("REPORTED 9/190 cached 4");
        assertThat(run.usage().total().reasoningOutputTokens()).hasValue(185);
        assertThat(run.usage().total().totalTokens()).isEqualTo(199);
    }

    @Test
    @DisplayName("T7: Google's client says STOP on every chunk, so that it is no proof of an end")
    void geminiCancelled() {
        try (LoopbackProvider provider = geminiProvider(THINKING)) {
            run.wrap(UsageChatModel.of(geminiModel(provider)).stream(ask(THINKING)))
                    .take(1)
                    .blockLast(PATIENCE);
        }

        assertThat(counted()).isEqualTo("PARTIAL 9/186 cached 4");
        assertThat(run.usage().requests()).extracting(RequestUsage::outcome).containsExactly(RequestOutcome.CANCELLED);
        assertThat(run.usage().isComplete()).isFalse();
    }

    @Test
    @DisplayName("T3: Google's, over rounds of a tool loop: their sum, in one piece")
    void geminiToolLoop() {
        String answer = geminiStream(gemini("a", usage(260, 2, 0, 0)), geminiLast("b", usage(260, 6, 0, 0)));

        stream(ask(ASKS_TOOL), ASKS_TOOL, answer);

        assertThat(counted()).isEqualTo("REPORTED 460/26");
    }

    @Test
    @DisplayName("T3: where rounds think, their sum lacks the thoughts, and is no final figure")
    void geminiThinkingToolLoop() {
        stream(ask(ASKS_TOOL), ASKS_TOOL, THINKING);

        assertThat(counted()).isEqualTo("PARTIAL 209/25");
        assertThat(run.usage().total().totalTokens()).isEqualTo(200 + 20 + 9 + 5 + 185);
    }

    @Test
    @DisplayName("a bare stream of Google's in one chunk may be the sum of hidden rounds")
    void geminiBare() {
        String single = geminiStream(geminiLast("a", usage(9, 5, 0, 0)));
        try (LoopbackProvider provider = geminiProvider(single)) {
            run.wrap(ChatUsage.capture(geminiModel(provider).stream(ask(single)), UsageRecorder.shared()))
                    .blockLast(PATIENCE);
        }

        assertThat(counted()).isEqualTo("PARTIAL 9/5");
    }

    private void stream(Prompt prompt, String... bodies) {
        try (LoopbackProvider provider = geminiProvider(bodies)) {
            run.wrap(UsageChatModel.of(geminiModel(provider)).stream(prompt)).blockLast(PATIENCE);
        }
    }

    private static LoopbackProvider geminiProvider(String... bodies) {
        return LoopbackProvider.start(
                Mode.STREAM,
                Stream.of(bodies)
                        .map(body -> new Response(200, Map.of(), body, End.COMPLETE))
                        .toList());
    }

    private static ChatModel geminiModel(LoopbackProvider provider) {
        Client client = Client.builder()
                .apiKey("none")
                .httpOptions(HttpOptions.builder().baseUrl(provider.baseUrl()).build())
                .build();
        return GoogleGenAiChatModel.builder()
                .genAiClient(client)
                .defaultOptions(GoogleGenAiChatOptions.builder()
                        .model("gemini-2.5-flash")
                        .build())
                .build();
    }

    /** Asks with the tool where the first answer asks for it. */
    private static Prompt ask(String firstAnswer) {
        GoogleGenAiChatOptions.Builder options =
                GoogleGenAiChatOptions.builder().model("gemini-2.5-flash");
        if (firstAnswer.contains("functionCall")) {
            options.toolCallbacks(List.of(tool()));
        }
        return new Prompt("How is the weather?", options.build());
    }

    private static String gemini(String text, String usage) {
        return """
            {"candidates":[{"content":{"parts":[{"text":"%s"}],"role":"model"},"index":0}],"usageMetadata":%s,"modelVersion":"gemini-2.5-flash"}""".formatted(text, usage);
    }

    private static String geminiLast(String text, String usage) {
        return gemini(text, usage).replace("\"index\":0", "\"finishReason\":\"STOP\",\"index\":0");
    }

    private static String usage(int prompt, int candidates, int thoughts, int cached) {
        return """
            {"promptTokenCount":%d,"candidatesTokenCount":%d,"thoughtsTokenCount":%d,"cachedContentTokenCount":%d,"totalTokenCount":%d}""".formatted(prompt, candidates, thoughts, cached, prompt + candidates + thoughts);
    }

    private static String geminiStream(String... chunks) {
        return Stream.of(chunks).map(chunk -> "data: " + chunk + "\r\n\r\n").collect(Collectors.joining());
    }

    private static ToolCallback tool() {
        return FunctionToolCallback.builder("get_weather", (Map<String, Object> input) -> Map.of("ok", true))
                .description("Answers that all is well.")
                .inputType(Map.class)
                .build();
    }

    private String counted() {
        return run.usage().requests().stream().map(CountedText::of).collect(Collectors.joining(", "));
    }
}
