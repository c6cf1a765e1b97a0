package io.fluxtally.boot.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.conformance.Scenarios;
import io.fluxtally.conformance.loopback.LoopbackProvider;
import io.fluxtally.usage.scope.UsageRecorder;
import io.fluxtally.usage.wire.WireTap;
import io.fluxtally.usage.wire.webclient.WireTapExchangeFilter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.web.client.RestClientAutoConfiguration;
import org.springframework.boot.autoconfigure.web.reactive.function.client.ClientHttpConnectorAutoConfiguration;
import org.springframework.boot.autoconfigure.web.reactive.function.client.WebClientAutoConfiguration;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.boot.web.reactive.function.client.WebClientCustomizer;
import org.springframework.context.ApplicationContext;
import org.springframework.http.MediaType;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.WebClient;

@DisplayName("The HTTP clients that Boot builds")
class WireTapAutoConfigurationTest {

    private static final AutoConfigurations CONFIGURATIONS = AutoConfigurations.of(
            ClientHttpConnectorAutoConfiguration.class,
            WebClientAutoConfiguration.class,
            RestClientAutoConfiguration.class,
            FluxtallyAutoConfiguration.class,
            WireTapAutoConfiguration.class);

    private static final String PATH = "/v1/chat/completions";

    private final ApplicationContextRunner app = new ApplicationContextRunner().withConfiguration(CONFIGURATIONS);

    private static void ask(ApplicationContext context) {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-call"))) {
            context.getBean(RestClient.Builder.class)
                    .baseUrl(provider.baseUrl())
                    .build()
                    .post()
                    .uri(PATH)
                    .contentType(MediaType.APPLICATION_JSON)
                    .body("{}")
                    .retrieve()
                    .body(String.class);
        }
    }

    private static void stream(WebClient.Builder client) {
        try (LoopbackProvider provider = LoopbackProvider.start(Scenarios.load("openai-plain-stream"))) {
            client.baseUrl(provider.baseUrl())
                    .build()
                    .post()
                    .uri(PATH)
                    .contentType(MediaType.APPLICATION_JSON)
                    .bodyValue("{}")
                    .retrieve()
                    .bodyToFlux(String.class)
                    .blockLast(Duration.ofSeconds(30));
        }
    }

    private static long requests(ApplicationContext context) {
        return context.getBean(UsageRecorder.class).processSum().requests();
    }

    @Test
    @DisplayName("are tapped")
    void tapped() {
        app.run(context -> {
            ask(context);
            stream(context.getBean(WebClient.Builder.class));

            assertThat(requests(context)).isEqualTo(2);
            assertThat(context.getBean(UsageRecorder.class).processSum().isComplete())
                    .isTrue();
        });
    }

    @Test
    @DisplayName("are tapped in a reactive app too, where Boot builds no blocking one")
    void reactive() {
        new ReactiveWebApplicationContextRunner()
                .withConfiguration(CONFIGURATIONS)
                .run(context -> {
                    ask(context);
                    stream(context.getBean(WebClient.Builder.class));

                    assertThat(requests(context)).isEqualTo(2);
                });
    }

    @Test
    @DisplayName("in a reactive app are the app's own where it has them")
    void ownBuilder() {
        RestClient.Builder own = RestClient.builder();

        new ReactiveWebApplicationContextRunner()
                .withConfiguration(CONFIGURATIONS)
                .withBean(RestClient.Builder.class, () -> own)
                .run(context ->
                        assertThat(context.getBean(RestClient.Builder.class)).isSameAs(own));
    }

    @Test
    @DisplayName("are tapped last, behind what the app's own filters do again (T8)")
    void behindRetries() {
        ExchangeFilterFunction twice = (request, next) -> next.exchange(request)
                .flatMap(response -> response.releaseBody())
                .then(next.exchange(request));

        app.withBean(WebClientCustomizer.class, () -> builder -> builder.filter(twice))
                .run(context -> {
                    try (LoopbackProvider provider =
                            LoopbackProvider.start(Scenarios.load("openai-tool-loop-stream"))) {
                        context.getBean(WebClient.Builder.class)
                                .baseUrl(provider.baseUrl())
                                .build()
                                .post()
                                .uri(PATH)
                                .contentType(MediaType.APPLICATION_JSON)
                                .bodyValue("{}")
                                .retrieve()
                                .bodyToFlux(String.class)
                                .blockLast(Duration.ofSeconds(30));
                    }

                    assertThat(requests(context)).isEqualTo(2);
                });
    }

    @Test
    @DisplayName("that the app taps itself are not tapped twice")
    void once() {
        app.withBean(
                        WebClientCustomizer.class,
                        () -> builder -> builder.filter(new WireTapExchangeFilter(WireTap.create())))
                .run(context -> {
                    List<ExchangeFilterFunction> filters = new ArrayList<>();
                    context.getBean(WebClient.Builder.class).filters(filters::addAll);

                    assertThat(filters)
                            .hasOnlyElementsOfType(WireTapExchangeFilter.class)
                            .hasSize(1);
                });
    }

    @Test
    @DisplayName("are not tapped where they block and that is not wanted")
    void withoutRestClient() {
        app.withPropertyValues("fluxtally.tap.rest-client=false").run(context -> {
            ask(context);
            assertThat(requests(context)).isZero();
            stream(context.getBean(WebClient.Builder.class));
            assertThat(requests(context)).isEqualTo(1);
        });
    }

    @Test
    @DisplayName("are as Boot builds them where Fluxtally is switched off")
    void disabled() {
        app.withPropertyValues("fluxtally.enabled=false").run(context -> {
            List<ExchangeFilterFunction> filters = new ArrayList<>();
            context.getBean(WebClient.Builder.class).filters(filters::addAll);

            assertThat(filters).isEmpty();
            assertThat(context.getBeanDefinitionNames())
                    .noneMatch(name -> name.toLowerCase(java.util.Locale.ROOT).contains("fluxtally"));
        });
    }
}
