package io.fluxtally.boot.observation;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.RunListener;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.observation.ChatObservationListener;
import io.fluxtally.usage.observation.ChatUsageObservationFilter;
import io.micrometer.observation.ObservationRegistry;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.chat.observation.DefaultChatModelObservationConvention;
import org.springframework.boot.actuate.autoconfigure.observation.ObservationAutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.assertj.AssertableApplicationContext;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@DisplayName("Usage on observations")
class UsageObservationAutoConfigurationTest {

    private final ApplicationContextRunner unobserved = new ApplicationContextRunner()
            .withConfiguration(
                    AutoConfigurations.of(FluxtallyAutoConfiguration.class, UsageObservationAutoConfiguration.class));
    private final ApplicationContextRunner app =
            unobserved.withConfiguration(AutoConfigurations.of(ObservationAutoConfiguration.class));

    private static void hasNothing(AssertableApplicationContext context) {
        assertThat(context)
                .hasNotFailed()
                .hasSingleBean(UsageRuns.class)
                .doesNotHaveBean(ChatObservationListener.class)
                .doesNotHaveBean(ChatUsageObservationFilter.class)
                .doesNotHaveBean(RunListener.class);
    }

    @Test
    @DisplayName("is there where the app observes, without a convention of ours")
    void there() {
        app.run(context -> assertThat(context)
                .hasSingleBean(ChatObservationListener.class)
                .hasSingleBean(ChatUsageObservationFilter.class)
                .hasSingleBean(RunListener.class)
                .doesNotHaveBean(ChatModelObservationConvention.class));
    }

    @Test
    @DisplayName("leaves an app with a convention of its own alone")
    void convention() {
        app.withBean(ChatModelObservationConvention.class, DefaultChatModelObservationConvention::new)
                .run(context -> assertThat(context).hasNotFailed().hasSingleBean(ChatModelObservationConvention.class));
    }

    @Test
    @DisplayName("is not there without a registry")
    void withoutRegistry() {
        unobserved.run(UsageObservationAutoConfigurationTest::hasNothing);
    }

    @Test
    @DisplayName("is not there without Micrometer's observations, and runs are opened all the same")
    void withoutMicrometer() {
        unobserved
                .withClassLoader(new FilteredClassLoader("io.micrometer.observation"))
                .run(context -> {
                    hasNothing(context);
                    assertThat(context.getBean(UsageRuns.class).track(() -> "answer"))
                            .isEqualTo("answer");
                });
    }

    @Test
    @DisplayName("is there without the actuator, where the app has a registry of its own")
    void withoutActuator() {
        unobserved
                .withClassLoader(new FilteredClassLoader("org.springframework.boot.actuate"))
                .withUserConfiguration(OwnRegistry.class)
                .run(context -> assertThat(context).hasNotFailed().hasSingleBean(ChatObservationListener.class));
    }

    @Test
    @DisplayName("is removed by its own property, and with all of Fluxtally")
    void disabled() {
        app.withPropertyValues("fluxtally.observations.enabled=false")
                .run(UsageObservationAutoConfigurationTest::hasNothing);
        app.withPropertyValues("fluxtally.enabled=false")
                .run(context -> assertThat(context)
                        .doesNotHaveBean(UsageRuns.class)
                        .doesNotHaveBean(ChatUsageObservationFilter.class));
    }

    @Test
    @DisplayName("observes runs beside a listener of the app's own")
    void ownListener() {
        app.withBean("own", RunListener.class, () -> (run, around) -> {
                    throw new IllegalStateException("broken");
                })
                .run(context -> assertThat(context.getBeansOfType(RunListener.class))
                        .hasSize(2)
                        .containsKey("fluxtallyRunObservations"));
    }

    @Configuration(proxyBeanMethods = false)
    static class OwnRegistry {

        @Bean
        ObservationRegistry registry() {
            return ObservationRegistry.create();
        }
    }
}
