package io.fluxtally.boot.web;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.RunState;
import io.fluxtally.boot.runs.UsageRun;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.UsageRecorder;
import jakarta.servlet.Filter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.core.Ordered;
import org.springframework.mock.http.server.reactive.MockServerHttpRequest;
import org.springframework.mock.web.MockHttpServletRequest;
import org.springframework.mock.web.MockHttpServletResponse;
import org.springframework.mock.web.server.MockServerWebExchange;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.server.WebFilter;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

class WebRunsAutoConfigurationTest {

    private static final AutoConfigurations OURS =
            AutoConfigurations.of(FluxtallyAutoConfiguration.class, WebRunsAutoConfiguration.class);
    private static final String ON = "fluxtally.web.run-per-request=true";

    private final WebApplicationContextRunner servlet = new WebApplicationContextRunner().withConfiguration(OURS);
    private final ReactiveWebApplicationContextRunner reactive =
            new ReactiveWebApplicationContextRunner().withConfiguration(OURS);

    @Test
    @DisplayName("no request is a run unless the app asks for it, and none is where Fluxtally is off")
    void optIn() {
        servlet.run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FilterRegistrationBean.class));
        reactive.run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(WebFilter.class));
        servlet.withPropertyValues(ON, "fluxtally.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FilterRegistrationBean.class));
        reactive.withPropertyValues(ON, "fluxtally.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(WebFilter.class));
        new ApplicationContextRunner()
                .withConfiguration(OURS)
                .withPropertyValues(ON)
                .run(context -> assertThat(context).hasNotFailed().hasSingleBean(UsageRuns.class));
    }

    @Test
    @DisplayName("a servlet app gets a filter right behind Boot's observation, and one on WebFlux a web filter")
    void asked() {
        servlet.withPropertyValues(ON).run(context -> {
            FilterRegistrationBean<?> filter = context.getBean(FilterRegistrationBean.class);
            assertThat(filter.getFilter()).isInstanceOf(RunPerRequestFilter.class);
            assertThat(filter.getOrder()).isBetween(Ordered.HIGHEST_PRECEDENCE + 2, Ordered.HIGHEST_PRECEDENCE + 100);
            assertThat(context).doesNotHaveBean(WebFilter.class);
        });
        reactive.withPropertyValues(ON)
                .withBean("appsOwn", WebFilter.class, () -> (exchange, chain) -> chain.filter(exchange))
                .run(context -> {
                    assertThat(context).doesNotHaveBean(FilterRegistrationBean.class);
                    assertThat(context.getBeanProvider(WebFilter.class)
                                    .orderedStream()
                                    .findFirst())
                            .containsSame(context.getBean("fluxtallyRunPerRequestWebFilter", WebFilter.class));
                });
    }

    @Test
    @DisplayName("the app's own filter of that name takes the place of ours")
    void replaced() {
        servlet.withPropertyValues(ON)
                .withBean("fluxtallyRunPerRequestFilter", String.class, () -> "mine")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FilterRegistrationBean.class));
        reactive.withPropertyValues(ON)
                .withBean("fluxtallyRunPerRequestWebFilter", String.class, () -> "mine")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(WebFilter.class));
    }

    @Test
    @DisplayName("an app without Spring's web classes starts all the same")
    void withoutWeb() {
        servlet.withPropertyValues(ON)
                .withClassLoader(new FilteredClassLoader(Filter.class, OncePerRequestFilter.class))
                .run(context -> assertThat(context).hasNotFailed());
        reactive.withPropertyValues(ON)
                .withClassLoader(new FilteredClassLoader(WebFilter.class))
                .run(context -> assertThat(context).hasNotFailed());
        new ApplicationContextRunner()
                .withConfiguration(OURS)
                .withPropertyValues(ON)
                .withClassLoader(new FilteredClassLoader("org.springframework.web", "jakarta.servlet"))
                .run(context -> assertThat(context).hasNotFailed().hasSingleBean(UsageRuns.class));
    }

    @Test
    @DisplayName("an exchange on WebFlux is a run, closed when it completes, fails or is cancelled by the browser")
    void exchange() {
        reactive.withPropertyValues(ON).run(context -> {
            UsageRuns runs = context.getBean(UsageRuns.class);
            RunHistory history = context.getBean(RunHistory.class);
            WebFilter filter = context.getBean(WebFilter.class);
            Function<Mono<Void>, Mono<Void>> exchange = handler -> filter.filter(
                    MockServerWebExchange.from(MockServerHttpRequest.get("/")),
                    same -> Mono.deferContextual(inner -> {
                        UsageRun run = runs.current(inner).orElseThrow();
                        history.accept(RequestUsage.builder("r-" + run.id(), Instant.EPOCH)
                                .runId(run.id())
                                .usage(TokenUsage.of(1, 1), UsageSource.REPORTED)
                                .build());
                        assertThat(history.run(run.id()).orElseThrow().state()).isEqualTo(RunState.OPEN);
                        return handler;
                    }));

            StepVerifier.create(exchange.apply(Mono.empty())).verifyComplete();
            StepVerifier.create(exchange.apply(Mono.error(new IOException("reset"))))
                    .verifyErrorMessage("reset");
            StepVerifier.create(exchange.apply(Mono.never()))
                    .expectSubscription()
                    .thenAwait()
                    .then(() -> assertThat(history.open()).isEqualTo(1))
                    .thenCancel()
                    .verify();

            assertThat(history.open()).isZero();
            assertThat(history.runs())
                    .hasSize(3)
                    .allSatisfy(run -> assertThat(run.state()).isEqualTo(RunState.CLOSED));
        });
    }

    @Test
    @DisplayName("a request whose response never ends is a run that is evicted in the end, counted, and still its own")
    void neverEnds() {
        servlet.withPropertyValues(ON, "fluxtally.runs.max-open=2").run(context -> {
            Filter filter = context.getBean(FilterRegistrationBean.class).getFilter();
            UsageRuns runs = context.getBean(UsageRuns.class);
            RunHistory history = context.getBean(RunHistory.class);
            List<UsageRun> begun = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                MockHttpServletRequest request = new MockHttpServletRequest();
                request.setAsyncSupported(true);
                filter.doFilter(request, new MockHttpServletResponse(), (asked, answer) -> {
                    asked.startAsync();
                    begun.add(runs.current().orElseThrow());
                });
            }

            assertThat(history.open()).isEqualTo(2);
            assertThat(history.evicted()).isEqualTo(1);
            String evicted = begun.get(0).id();
            assertThat(history.run(evicted).orElseThrow().state()).isEqualTo(RunState.EVICTED);
            context.getBean(UsageRecorder.class)
                    .book(
                            begun.get(0).scope(),
                            RequestUsage.builder("late", Instant.EPOCH)
                                    .runId(evicted)
                                    .build());
            assertThat(history.run(evicted).orElseThrow().sum().requests()).isEqualTo(1);
            assertThat(begun.get(0).usage().unreported()).isEqualTo(1);
        });
    }
}
