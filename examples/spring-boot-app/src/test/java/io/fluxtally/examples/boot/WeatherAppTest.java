package io.fluxtally.examples.boot;

import static org.assertj.core.api.Assertions.assertThat;

import com.alibaba.cloud.ai.dashscope.chat.DashScopeChatModel;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import reactor.core.publisher.Hooks;

/**
 * A streamed answer with a round of tools, of which the provider bills 460 input, 192 of them cached, and 26 output tokens. The
 * stock client shows 260 and 6.
 */
@DisplayName("The weather app")
class WeatherAppTest {

    private static final Pattern USAGE = Pattern.compile("event:usage\\ndata:(.*)");

    private static LoopbackProvider provider;
    private static ConfigurableApplicationContext app;

    /** What a browser would be sent. */
    private static String answer;

    private static JsonNode usage;

    @BeforeAll
    static void ask() throws IOException, InterruptedException {
        provider = LoopbackProvider.start(Scenarios.load("dashscope-tool-loop-stream"));
        app = new SpringApplicationBuilder(WeatherApp.class)
                .properties("server.port=0", "AI_DASHSCOPE_API_KEY=none")
                .properties("spring.ai.dashscope.base-url=" + provider.baseUrl())
                .run();
        answer = get("/weather?question=Shanghai", "*/*");
        List<String> told =
                USAGE.matcher(answer).results().map(event -> event.group(1)).toList();
        usage = new ObjectMapper().readTree(told.get(told.size() - 1));
    }

    @AfterAll
    static void close() {
        app.close();
        provider.close();
    }

    private static String get(String path, String accept) throws IOException, InterruptedException {
        int port = ((ServletWebServerApplicationContext) app).getWebServer().getPort();
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                .header("Accept", accept)
                .build();
        return HttpClient.newHttpClient()
                .send(request, HttpResponse.BodyHandlers.ofString())
                .body();
    }

    private static void isTheBill(JsonNode total) {
        assertThat(total.path("input_tokens").asLong()).isEqualTo(460);
        assertThat(total.path("output_tokens").asLong()).isEqualTo(26);
        assertThat(total.path("total_tokens").asLong()).isEqualTo(486);
        assertThat(total.path("cache_read_input_tokens").asLong()).isEqualTo(192);
        assertThat(total.has("reasoning_output_tokens")).as("not reported").isFalse();
    }

    @Test
    @DisplayName("tells in its own response what it is billed (T3)")
    void response() {
        assertThat(answer).contains("data:上海", "data:多云");
        isTheBill(usage);
        assertThat(usage.path("requests").asLong()).isEqualTo(2);
        assertThat(usage.path("complete").asBoolean()).isTrue();
    }

    @Test
    @DisplayName("shows the same to Prometheus, which the stock counter does not (T12)")
    void prometheus() throws IOException, InterruptedException {
        String scrape = get("/actuator/prometheus", "text/plain");

        assertThat(sum(scrape, "fluxtally_input_tokens_total", "")).isEqualTo(460);
        assertThat(sum(scrape, "fluxtally_output_tokens_total", "")).isEqualTo(26);
        assertThat(sum(scrape, "fluxtally_cache_read_input_tokens_total", "")).isEqualTo(192);
        assertThat(sum(scrape, "fluxtally_requests_total", "")).isEqualTo(2);
        assertThat(sum(scrape, "gen_ai_client_token_usage_total", "gen_ai_token_type=\"input\""))
                .isNotEqualTo(460);
    }

    /** The sum of the series of a metric whose labels have a text in them. */
    private static long sum(String scrape, String metric, String label) {
        return (long) scrape.lines()
                .filter(line -> line.startsWith(metric) && line.contains(label))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                .sum();
    }

    @Test
    @DisplayName("shows the same in the actuator: over all runs, by model, and of this run")
    void actuator() throws IOException, InterruptedException {
        JsonNode all = new ObjectMapper().readTree(get("/actuator/fluxtally", "application/json"));
        String runId = usage.path("run_id").asText();
        JsonNode run = new ObjectMapper().readTree(get("/actuator/fluxtally/" + runId, "application/json"));

        assertThat(all.toString()).contains(runId);
        assertThat(all.findValuesAsText("input_tokens")).contains("460").doesNotContain("0");
        assertThat(run.findValuesAsText("input_tokens")).contains("460", "200", "260");
        assertThat(run.findValuesAsText("output_tokens")).contains("26", "20", "6");
        assertThat(run.findValuesAsText("request_model"))
                .as("what was asked for")
                .containsOnly("qwen-plus");
    }

    @Test
    @DisplayName("shows the same in a page")
    void page() throws IOException, InterruptedException {
        String page = get("/actuator/fluxtally/" + usage.path("run_id").asText(), "text/html");

        assertThat(page).startsWith("<!DOCTYPE html>").contains(">460<", ">26<", ">192<", "qwen-plus");
    }

    @Test
    @DisplayName("has the beans that it had without Fluxtally, and no hook")
    void untouched() {
        assertThat(app.getBeansOfType(ChatModel.class).values())
                .singleElement()
                .isExactlyInstanceOf(DashScopeChatModel.class);
        assertThat(app.getBeansOfType(MeterRegistry.class)).hasSize(1);
        assertThat(Hooks.isAutomaticContextPropagationEnabled()).isFalse();
    }
}
