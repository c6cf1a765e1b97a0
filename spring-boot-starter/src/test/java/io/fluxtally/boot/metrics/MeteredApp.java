package io.fluxtally.boot.metrics;

import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Import;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Mono;

/** A web app as its author would write it, with the starters of OpenAI and DashScope, Boot's actuator and Prometheus. */
final class MeteredApp implements AutoCloseable {

    private final HttpClient client = HttpClient.newHttpClient();
    private final ConfigurableApplicationContext context;

    private MeteredApp(ConfigurableApplicationContext context) {
        this.context = context;
    }

    static MeteredApp start(LoopbackProvider provider, String... properties) {
        List<String> all = new ArrayList<>(List.of(
                "server.port=0",
                "server.address=127.0.0.1",
                "management.endpoints.web.exposure.include=prometheus",
                "management.metrics.use-global-registry=false",
                "spring.main.banner-mode=off",
                "logging.level.root=warn",
                "spring.ai.model.chat=openai",
                "spring.ai.dashscope.base-url=" + provider.baseUrl(),
                "spring.ai.dashscope.api-key=none",
                "spring.ai.openai.base-url=" + provider.baseUrl(),
                "spring.ai.openai.api-key=none",
                "spring.ai.openai.chat.options.model=qwen-plus",
                "spring.ai.openai.chat.options.stream-usage=true"));
        all.addAll(List.of(properties));
        return new MeteredApp(new SpringApplicationBuilder(App.class)
                .web(WebApplicationType.SERVLET)
                .properties(all.toArray(String[]::new))
                .run());
    }

    String get(String path) throws IOException, InterruptedException {
        String port = context.getEnvironment().getRequiredProperty("local.server.port");
        HttpResponse<String> response = client.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(path + " must answer with 200, but does with " + response.statusCode());
        }
        return response.body();
    }

    Scrape scrape() throws IOException, InterruptedException {
        return Scrape.of(get("/actuator/prometheus"));
    }

    @Override
    public void close() {
        context.close();
    }

    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(Weather.class)
    static class App {}

    @RestController
    static class Weather {

        private final ChatClient client;
        private final UsageRuns runs;

        Weather(ChatClient.Builder builder, UsageRuns runs) {
            this.client = builder.defaultTools(this).build();
            this.runs = runs;
        }

        @GetMapping("/stream")
        Mono<String> stream() {
            return runs.track(client.prompt("上海天气如何？").stream().content())
                    .collectList()
                    .map(parts -> String.join("", parts));
        }

        @GetMapping("/call")
        String call() throws Exception {
            return runs.track(() -> client.prompt("上海天气如何？").call().content());
        }

        @GetMapping("/call-without-run")
        String callWithoutRun() {
            return client.prompt("上海天气如何？").call().content();
        }

        @Tool(name = "get_weather", description = "The weather in a city")
        String weather(String city) {
            return city + ": 多云";
        }
    }
}
