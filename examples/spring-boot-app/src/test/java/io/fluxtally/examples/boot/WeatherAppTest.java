package io.fluxtally.examples.boot;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;

@DisplayName("The weather app")
class WeatherAppTest {

    @Test
    @DisplayName("shows what it is billed")
    void everywhere() throws IOException, InterruptedException {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("dashscope-tool-loop-stream"));
                ConfigurableApplicationContext app = new SpringApplicationBuilder(WeatherApp.class)
                        .properties(
                                "server.port=0",
                                "spring.ai.dashscope.base-url=" + provider.baseUrl(),
                                "AI_DASHSCOPE_API_KEY=none")
                        .run()) {
            int port = ((ServletWebServerApplicationContext) app).getWebServer().getPort();
            String answer = get(port, "/weather?question=Shanghai");
            assertThat(answer).contains("input=460");
            System.out.println(answer);
            System.out.println(get(port, "/actuator/prometheus"));
        }
    }

    private static String get(int port, String path) throws IOException, InterruptedException {
        return HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                                .build(),
                        HttpResponse.BodyHandlers.ofString())
                .body();
    }
}
