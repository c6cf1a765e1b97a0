package io.fluxtally.boot.actuate;

import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.conformance.scenario.Mode;
import io.fluxtally.conformance.scenario.Response;
import io.fluxtally.usage.scope.RunScope;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.ReactorResourceFactory;
import reactor.core.publisher.Flux;

/** A Boot app with Spring AI's OpenAI starter, whose provider is on loopback, and with the actuator. */
final class SpendingApp implements AutoCloseable {

    private final LoopbackProvider provider;
    private final ConfigurableApplicationContext context;
    private final HttpClient client = HttpClient.newHttpClient();

    private SpendingApp(LoopbackProvider provider, ConfigurableApplicationContext context) {
        this.provider = provider;
        this.context = context;
    }

    /** What the provider streams, in this order. */
    static List<Response> responses(String... scenarios) {
        List<Response> responses = new ArrayList<>();
        for (String scenario : scenarios) {
            responses.addAll(Scenarios.load(scenario).responses());
        }
        return responses;
    }

    static SpendingApp start(
            WebApplicationType type, List<Response> responses, Class<?> configuration, String... properties) {
        LoopbackProvider provider =
                LoopbackProvider.builder().eventDelay(Duration.ofMillis(15)).start(Mode.STREAM, responses);
        List<String> all = new ArrayList<>(List.of(
                "server.address=127.0.0.1",
                "server.port=0",
                "management.endpoints.web.exposure.include=fluxtally",
                "spring.main.banner-mode=off",
                "spring.ai.model.chat=openai",
                // DashScope's starter is on the class path too, and starts with a key only.
                "spring.ai.dashscope.api-key=none",
                "spring.ai.openai.api-key=none",
                "spring.ai.openai.base-url=" + provider.baseUrl()));
        all.addAll(Arrays.asList(properties));
        try {
            return new SpendingApp(
                    provider,
                    new SpringApplicationBuilder(App.class, configuration)
                            .web(type)
                            .properties(all.toArray(String[]::new))
                            .run());
        } catch (RuntimeException | Error failure) {
            provider.close();
            throw failure;
        }
    }

    UsageRuns runs() {
        return context.getBean(UsageRuns.class);
    }

    <T> T bean(Class<T> type) {
        return context.getBean(type);
    }

    /** A streamed question inside a scope, with a tool for models that want one. */
    String ask(RunScope scope) {
        OpenAiChatOptions options = OpenAiChatOptions.builder()
                .model("qwen-plus")
                .streamUsage(true)
                .toolCallbacks(FunctionToolCallback.builder("get_weather", (City city) -> "cloudy")
                        .description("Weather")
                        .inputType(City.class)
                        .build())
                .build();
        Flux<String> answer = context.getBean(OpenAiChatModel.class).stream(new Prompt("How is the weather?", options))
                .map(response -> response.getResult() == null
                        ? ""
                        : String.valueOf(response.getResult().getOutput().getText()));
        return scope.wrap(answer.collectList().map(texts -> String.join("", texts)))
                .block(Duration.ofSeconds(30));
    }

    /** Whether a question inside a scope comes to nothing. */
    boolean failsToAsk(RunScope scope) {
        try {
            ask(scope);
            return false;
        } catch (RuntimeException expected) {
            return true;
        }
    }

    record City(String city) {}

    /** The server's own address, without a slash at its end. */
    String origin() {
        return "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
    }

    /** The address of the server that the actuator is at, if that is another one. */
    String managementOrigin() {
        return "http://127.0.0.1:" + context.getEnvironment().getProperty("local.management.port");
    }

    HttpResponse<String> get(String url, String accept) throws IOException, InterruptedException {
        return client.send(
                HttpRequest.newBuilder(URI.create(url)).header("Accept", accept).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    @Override
    public void close() {
        context.close();
        provider.close();
    }

    /** What comes by itself. */
    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class App {

        /** Of its own, because an app that is closed closes what all apps of a JVM share. */
        @Bean
        ReactorResourceFactory reactorResources() {
            ReactorResourceFactory resources = new ReactorResourceFactory();
            resources.setUseGlobalResources(false);
            return resources;
        }
    }
}
