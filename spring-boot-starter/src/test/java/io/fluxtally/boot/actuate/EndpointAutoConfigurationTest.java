package io.fluxtally.boot.actuate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.usage.scope.UsageRecorder;
import java.time.Duration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.predicate.RuntimeHintsPredicates;
import org.springframework.boot.actuate.autoconfigure.endpoint.EndpointAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.endpoint.web.WebEndpointAutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.convert.ApplicationConversionService;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.web.util.HtmlUtils;

class EndpointAutoConfigurationTest {

    private static final AutoConfigurations ALL = AutoConfigurations.of(
            FluxtallyAutoConfiguration.class,
            FluxtallyEndpointAutoConfiguration.class,
            EndpointAutoConfiguration.class,
            WebEndpointAutoConfiguration.class);
    private static final String EXPOSED = "management.endpoints.web.exposure.include=fluxtally";

    private final WebApplicationContextRunner servlet = new WebApplicationContextRunner()
            .withConfiguration(ALL)
            .withPropertyValues(EXPOSED)
            // As a SpringApplication has it.
            .withInitializer(
                    context -> context.getEnvironment().setConversionService(new ApplicationConversionService()));

    @Test
    @DisplayName("the endpoint is there in a servlet app that exposes it")
    void inServletApps() {
        servlet.run(context -> assertThat(context).hasSingleBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("the endpoint is there in a WebFlux app that exposes it")
    void inReactiveApps() {
        new ReactiveWebApplicationContextRunner()
                .withConfiguration(ALL)
                .withPropertyValues(EXPOSED)
                .run(context -> assertThat(context).hasSingleBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("it is not there unless it is exposed")
    void notExposed() {
        new WebApplicationContextRunner()
                .withConfiguration(ALL)
                .run(context -> assertThat(context).doesNotHaveBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("it is not there if nobody has access")
    void noAccess() {
        servlet.withPropertyValues("management.endpoint.fluxtally.access=none")
                .run(context -> assertThat(context).doesNotHaveBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("it is not there if Fluxtally is turned off")
    void turnedOff() {
        servlet.withPropertyValues("fluxtally.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("an app without the actuator starts without it")
    void withoutActuator() {
        new WebApplicationContextRunner()
                .withConfiguration(AutoConfigurations.of(
                        FluxtallyAutoConfiguration.class, FluxtallyEndpointAutoConfiguration.class))
                .withPropertyValues(EXPOSED)
                .withClassLoader(new FilteredClassLoader("org.springframework.boot.actuate"))
                .run(context -> assertThat(context)
                        .hasNotFailed()
                        .hasSingleBean(RunHistory.class)
                        .doesNotHaveBean("fluxtallyEndpoint"));
    }

    @Test
    @DisplayName("an app that has the actuator's API alone starts without it")
    void withoutActuatorAutoConfiguration() {
        new WebApplicationContextRunner()
                .withConfiguration(AutoConfigurations.of(
                        FluxtallyAutoConfiguration.class, FluxtallyEndpointAutoConfiguration.class))
                .withPropertyValues(EXPOSED)
                .withClassLoader(new FilteredClassLoader("org.springframework.boot.actuate.autoconfigure"))
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean("fluxtallyEndpoint"));
    }

    @Test
    @DisplayName("an app that is no web app starts without it")
    void withoutWeb() {
        new ApplicationContextRunner()
                .withConfiguration(ALL)
                .withPropertyValues(EXPOSED)
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FluxtallyEndpoint.class));
        new ApplicationContextRunner()
                .withConfiguration(ALL)
                .withPropertyValues(EXPOSED)
                .withClassLoader(new FilteredClassLoader(HtmlUtils.class))
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FluxtallyEndpoint.class));
    }

    @Test
    @DisplayName("an endpoint of the app's own stays alone")
    void backsOff() {
        servlet.withBean(
                        "mine",
                        FluxtallyEndpoint.class,
                        () -> new FluxtallyEndpoint(
                                new RunHistory(1, 1, Duration.ofHours(1), 1),
                                UsageRecorder.withSinks(),
                                1,
                                () -> "fluxtally"))
                .run(context -> assertThat(context)
                        .hasSingleBean(FluxtallyEndpoint.class)
                        .hasBean("mine"));
    }

    @Test
    @DisplayName("a negative number of runs fails the start and is named")
    void wrongSetting() {
        servlet.withPropertyValues("fluxtally.endpoint.max-runs=-1")
                .run(context -> assertThat(context)
                        .getFailure()
                        .rootCause()
                        .isInstanceOf(InvalidSettingException.class)
                        .hasMessage("fluxtally.endpoint.max-runs must be 0 or more, but is -1"));
    }

    @Test
    @DisplayName("a native image keeps the style sheet")
    void hints() {
        RuntimeHints hints = new RuntimeHints();

        new FluxtallyEndpointAutoConfiguration.Hints()
                .registerHints(hints, getClass().getClassLoader());

        assertThat(RuntimeHintsPredicates.resource().forResource(StyleSheet.RESOURCE))
                .accepts(hints);
    }
}
