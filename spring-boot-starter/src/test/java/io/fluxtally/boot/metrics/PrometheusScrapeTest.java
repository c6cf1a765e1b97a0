package io.fluxtally.boot.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Bill;
import io.fluxtally.conformance.scenario.Scenario;
import io.fluxtally.conformance.scenario.TokenKey;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PrometheusScrapeTest {

    private static final String SPRING_AI = "gen_ai_client_token_usage_total";

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "openai-tool-loop-call, openai, /call, 660, 46",
        "openai-tool-loop-stream, openai, /stream, 920, 52",
        // The first round is lost, and the second counted twice.
        "dashscope-tool-loop-stream, dashscope, /stream, 520, 12",
    })
    @DisplayName(
            "T12: what Prometheus scrapes of a tool loop is what is billed, while Spring AI's own counter has other sums")
    void toolLoop(String name, String client, String path, double springAiInput, double springAiOutput)
            throws Exception {
        Scenario scenario = Scenarios.load(name);
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                MeteredApp app = MeteredApp.start(provider, "spring.ai.model.chat=" + client)) {
            assertThat(app.get(path)).contains("今天");
            Scrape scrape = app.scrape();

            Bill bill = scenario.billed();
            assertThat(scrape.sum("fluxtally_input_tokens_total")).isEqualTo(billed(bill, TokenKey.INPUT_TOKENS));
            assertThat(scrape.sum("fluxtally_output_tokens_total")).isEqualTo(billed(bill, TokenKey.OUTPUT_TOKENS));
            assertThat(scrape.sum("fluxtally_cache_read_input_tokens_total"))
                    .isEqualTo(billed(bill, TokenKey.CACHE_READ_INPUT_TOKENS));
            assertThat(scrape.names())
                    .doesNotContain(
                            "fluxtally_cache_creation_input_tokens_total", "fluxtally_reasoning_output_tokens_total");
            assertThat(scrape.sum("fluxtally_requests_total"))
                    .isEqualTo(bill.requests().size());
            assertThat(scrape.sum("fluxtally_request_duration_seconds_count"))
                    .isEqualTo(bill.requests().size());
            assertThat(scrape.sum("fluxtally_request_time_to_first_chunk_seconds_count"))
                    .isEqualTo(bill.requests().size());
            assertThat(scrape.sum("fluxtally_requests_unattributed_total")).isZero();
            assertThat(scrape.sum("fluxtally_requests_unreported_total")).isZero();
            assertThat(scrape.sum("fluxtally_dropped_figures_total", "reason", "unread_event"))
                    .isZero();
            assertThat(scrape.sum("fluxtally_runs_open")).isZero();

            // Spring AI ends its observation of a stream after the app has its last chunk.
            await().atMost(Duration.ofSeconds(60)).untilAsserted(() -> {
                Scrape later = app.scrape();
                assertThat(later.sum(SPRING_AI, "gen_ai_token_type", "input")).isEqualTo(springAiInput);
                assertThat(later.sum(SPRING_AI, "gen_ai_token_type", "output")).isEqualTo(springAiOutput);
            });
        }
    }

    @Test
    @DisplayName("each series has the same labels, and they say who answered and how")
    void labels() throws Exception {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-tool-loop-call"));
                MeteredApp app = MeteredApp.start(provider)) {
            app.get("/call-without-run");
            Scrape scrape = app.scrape();

            // The wire tap reads no request: which model was asked for is known by Spring AI's observation.
            assertThat(scrape.sum(
                            "fluxtally_requests_total",
                            "provider",
                            "openai",
                            "request_model",
                            "qwen-plus",
                            "response_model",
                            "qwen-plus",
                            "operation",
                            "chat",
                            "agent",
                            "none",
                            "outcome",
                            "completed",
                            "source",
                            "reported"))
                    .isEqualTo(2);
            assertThat(scrape.sum("fluxtally_requests_unattributed_total")).isEqualTo(2);
            assertThat(scrape.labels("fluxtally_input_tokens_total"))
                    .containsExactlyInAnyOrderElementsOf(Set.of(
                            "provider", "request_model", "response_model", "operation", "agent", "outcome", "source"));
        }
    }

    @Test
    @DisplayName(
            "T12: under OpenTelemetry's naming the sums are the bill too, beside Spring AI's counter and apart from it")
    void otel() throws Exception {
        Scenario scenario = Scenarios.load("openai-tool-loop-call");
        try (LoopbackProvider provider = LoopbackProvider.start(scenario);
                MeteredApp app = MeteredApp.start(provider, "fluxtally.metrics.naming=otel")) {
            app.get("/call");
            Scrape scrape = app.scrape();

            assertThat(scrape.sum(
                            "gen_ai_client_inference_usage_input_tokens_total", "gen_ai_token_modality", "unknown"))
                    .isEqualTo(billed(scenario.billed(), TokenKey.INPUT_TOKENS));
            assertThat(scrape.sum("gen_ai_client_inference_usage_output_tokens_total"))
                    .isEqualTo(billed(scenario.billed(), TokenKey.OUTPUT_TOKENS));
            assertThat(scrape.sum("gen_ai_client_inference_duration_seconds_count"))
                    .isEqualTo(2);
            assertThat(scrape.sum("gen_ai_client_inference_duration_seconds_bucket", "le", "81.92"))
                    .isEqualTo(2);
            assertThat(scrape.sum(SPRING_AI, "gen_ai_token_type", "input")).isEqualTo(660);
            assertThat(scrape.names()).noneMatch(name -> name.startsWith("fluxtally_input"));
        }
    }

    private static double billed(Bill bill, TokenKey key) {
        return bill.total().get(key).orElseThrow();
    }
}
