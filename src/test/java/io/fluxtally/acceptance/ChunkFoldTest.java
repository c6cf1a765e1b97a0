package io.fluxtally.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.engine.Engine;
import io.fluxtally.conformance.engine.Seam;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Scenario;
import java.time.Duration;
import java.util.EnumSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.ai.openai.OpenAiChatModel;

/** What the chunks of each real client come to where there is no wire tap, in every line of Spring AI. */
@Tag("every-spring-ai")
@DisplayName("Without the wire tap")
class ChunkFoldTest {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** Requests by their source, and what they used. */
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            # OpenAI: each round's usage-only chunk is seen, first or last; later figures are sums without details
            openai-plain-stream                | REPORTED 24/7
            openai-tool-loop-stream            | REPORTED 200/20 cached 64, REPORTED 260/6
            openai-tool-loop-second-round-without-usage-stream | REPORTED 200/20, MISSING
            openai-usage-on-every-chunk-stream | REPORTED 100/5
            openai-azure-first-chunk-stream    | REPORTED 24/6
            openai-no-usage-stream             | MISSING
            openai-cancel-stream               | MISSING
            openai-reset-stream                | MISSING
            openai-choice-without-delta-stream | MISSING
            openai-three-loops-stream          | REPORTED 200/20, REPORTED 300/30, REPORTED 400/40, REPORTED 500/6
            openai-two-tool-calls-stream       | REPORTED 200/30, REPORTED 290/5
            openai-tool-loop-first-round-without-usage-stream | MISSING, REPORTED 260/6
            # A blocking answer does not tell whether its last round reported any
            openai-call                        | REPORTED 24/7
            openai-tool-loop-call              | PARTIAL 460/26
            # DashScope: each round's figure is its own, and the rounds before may be swallowed
            dashscope-plain-stream             | REPORTED 26/8
            dashscope-usage-only-stream        | REPORTED 31/7 cached 16
            dashscope-tool-loop-stream         | PARTIAL 260/6 cached 128
            dashscope-three-rounds-usage-only-stream   | REPORTED 5000/2000, REPORTED 8000/3000 cached 4864, PARTIAL 6000/2500 cached 5120
            dashscope-three-rounds-last-content-stream | MISSING, MISSING, PARTIAL 6000/2500 cached 5120
            dashscope-three-rounds-running-stream      | PARTIAL 5000/571, PARTIAL 8000/857 cached 4864, PARTIAL 6000/2500 cached 5120
            dashscope-three-rounds-call        | PARTIAL 6000/2500 cached 5120
            dashscope-tool-loop-trailing-usage-stream  | PARTIAL 200/20, PARTIAL 260/3
            dashscope-tool-loop-reset-second-round-stream | PARTIAL 260/4
            dashscope-two-tool-calls-stream    | MISSING
            dashscope-two-choices-stream       | PARTIAL 100/31
            dashscope-clean-cut-stream         | PARTIAL 30/5
            dashscope-error-frame-stream       | PARTIAL 48/4
            dashscope-empty-usage-stream       | MISSING
            dashscope-details-only-call        | REPORTED 16/6
            # Anthropic: the client drops what the end of a stream says about the input
            anthropic-stream                   | PARTIAL 1336/30 cached 1024
            anthropic-server-tools-stream      | PARTIAL 3059/412
            anthropic-tool-loop-stream         | PARTIAL 200/20, PARTIAL 68/6
            anthropic-call                     | REPORTED 1036/9 cached 1024
            anthropic-tool-loop-call           | PARTIAL 76/26
            # DeepSeek: the rounds before are swallowed, and carried on until the last one's figure comes
            deepseek-stream                    | REPORTED 339/83 cached 320
            deepseek-tool-loop-stream          | REPORTED 200/20 cached 64, REPORTED 260/6
            deepseek-tool-loop-call            | PARTIAL 460/66
            deepseek-tool-loop-reset-second-round-stream | PARTIAL 200/20
            # Mistral, Ollama: a sum over the rounds at the end, and nothing before
            mistral-stream                     | REPORTED 13/8
            mistral-tool-loop-stream           | REPORTED 460/26
            ollama-stream                      | REPORTED 26/17
            ollama-tool-loop-stream            | REPORTED 460/26
            ollama-no-prompt-count-stream      | PARTIAL 0/9
            # Zhipu: nothing in streams, and the last round in calls
            zhipu-stream                       | MISSING
            zhipu-tool-loop-stream             | MISSING
            zhipu-tool-loop-call               | PARTIAL 260/6 cached 128
            """)
    @DisplayName("a client's chunks are folded as that client means them")
    void decorated(String scenario, String expected) {
        assertThat(counted(Scenarios.load(scenario), Seam.DECORATOR)).isEqualTo(expected);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            openai-plain-stream          | REPORTED 24/7
            openai-tool-loop-stream      | REPORTED 200/20 cached 64, REPORTED 260/6
            dashscope-plain-stream       | PARTIAL 26/8
            dashscope-empty-usage-stream | MISSING
            deepseek-stream              | REPORTED 339/83 cached 320
            anthropic-stream             | PARTIAL 1336/30 cached 1024
            ollama-stream                | REPORTED 26/17
            ollama-no-prompt-count-stream | PARTIAL 0/9
            """)
    @DisplayName("a bare stream, of which nobody says whether its model runs tools, is folded with that doubt")
    void bare(String scenario, String expected) {
        assertThat(counted(Scenarios.load(scenario), Seam.OPERATOR)).isEqualTo(expected);
    }

    @Test
    @DisplayName("these tests run with the Spring AI that they say")
    void version() {
        String jar = OpenAiChatModel.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .getPath();

        assertThat(jar).endsWith("-" + System.getProperty("fluxtally.spring-ai.version", "1.1.2") + ".jar");
    }

    private static String counted(Scenario scenario, Seam seam) {
        try (LoopbackProvider provider = LoopbackProvider.start(scenario)) {
            return Engine.MODEL
                    .measured(scenario, provider.baseUrl(), EnumSet.of(seam))
                    .block(PATIENCE)
                    .usage()
                    .requests()
                    .stream()
                    .map(CountedText::of)
                    .collect(Collectors.joining(", "));
        }
    }
}
