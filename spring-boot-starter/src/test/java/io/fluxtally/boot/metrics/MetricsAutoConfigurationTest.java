package io.fluxtally.boot.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.boot.runs.UsageRuns;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.metrics.UsageMetrics;
import io.fluxtally.usage.scope.UsageRecorder;
import io.micrometer.core.instrument.Clock;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.core.instrument.simple.SimpleConfig;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Instant;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.springframework.boot.LazyInitializationBeanFactoryPostProcessor;
import org.springframework.boot.actuate.autoconfigure.metrics.CompositeMeterRegistryAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.metrics.MetricsAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.metrics.export.prometheus.PrometheusMetricsExportAutoConfiguration;
import org.springframework.boot.actuate.autoconfigure.metrics.export.simple.SimpleMetricsExportAutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

class MetricsAutoConfigurationTest {

    private final ApplicationContextRunner bare = new ApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(
                    FluxtallyAutoConfiguration.class, io.fluxtally.boot.metrics.MetricsAutoConfiguration.class));

    private final ApplicationContextRunner app = bare.withPropertyValues("management.metrics.use-global-registry=false")
            .withConfiguration(AutoConfigurations.of(
                    MetricsAutoConfiguration.class,
                    SimpleMetricsExportAutoConfiguration.class,
                    CompositeMeterRegistryAutoConfiguration.class));

    private static RequestUsage request() {
        return RequestUsage.builder("request", Instant.EPOCH)
                .usage(TokenUsage.of(10, 5), UsageSource.REPORTED)
                .build();
    }

    private static double requests(MeterRegistry registry) {
        return registry.get("fluxtally.requests").counters().stream()
                .mapToDouble(counter -> counter.count())
                .sum();
    }

    @Test
    @DisplayName("an app with a meter registry has every booked request counted, those booked to the process too")
    void counts() {
        app.run(context -> {
            context.getBean(UsageRecorder.class).book(null, request());
            UsageRecorder.shared().book(null, request());

            MeterRegistry registry = context.getBean(MeterRegistry.class);
            assertThat(requests(registry)).isEqualTo(2);
            assertThat(registry.get("fluxtally.input.tokens").counter().count()).isEqualTo(20);
        });
    }

    @Test
    @DisplayName("open and evicted runs and dropped figures are there from the start")
    void runsAndDrops() {
        app.withPropertyValues("fluxtally.runs.max-open=1").run(context -> {
            MeterRegistry registry = context.getBean(MeterRegistry.class);
            assertThat(registry.get("fluxtally.runs.open").gauge().value()).isZero();
            assertThat(registry.get("fluxtally.runs.evicted").functionCounter().count())
                    .isZero();
            assertThat(registry.get("fluxtally.dropped.figures").functionCounters())
                    .hasSize(3);

            UsageRuns runs = context.getBean(UsageRuns.class);
            runs.open();
            runs.open();

            assertThat(registry.get("fluxtally.runs.open").gauge().value()).isEqualTo(1);
            assertThat(registry.get("fluxtally.runs.evicted").functionCounter().count())
                    .isEqualTo(1);
        });
    }

    @Test
    @DisplayName("without Micrometer the app starts and books")
    void withoutMicrometer() {
        bare.withClassLoader(new FilteredClassLoader("io.micrometer.core")).run(context -> {
            assertThat(context).hasNotFailed().doesNotHaveBean("fluxtallyUsageMetrics");
            context.getBean(UsageRecorder.class).book(null, request());
            assertThat(context.getBean(UsageRecorder.class).processSum().requests())
                    .isEqualTo(1);
        });
    }

    @Test
    @DisplayName("without a meter registry nothing is held for one")
    void withoutRegistry() {
        bare.run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(UsageMetrics.class));
    }

    @Test
    @DisplayName("without the actuator, a registry of the app's own is enough")
    void withoutActuator() {
        bare.withBean(SimpleMeterRegistry.class).run(context -> {
            context.getBean(UsageRecorder.class).book(null, request());

            assertThat(requests(context.getBean(MeterRegistry.class))).isEqualTo(1);
            assertThat(context.getBean(MeterRegistry.class)
                            .get("fluxtally.runs.open")
                            .gauge()
                            .value())
                    .isZero();
        });
    }

    @Test
    @DisplayName("with several registries each request is counted once in each")
    void severalRegistries() {
        app.withConfiguration(AutoConfigurations.of(PrometheusMetricsExportAutoConfiguration.class))
                .withPropertyValues("management.simple.metrics.export.enabled=true")
                .withBean("second", SimpleMeterRegistry.class)
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request());

                    assertThat(context.getBean(MeterRegistry.class)).isInstanceOf(CompositeMeterRegistry.class);
                    assertThat(context.getBeansOfType(MeterRegistry.class)).hasSizeGreaterThanOrEqualTo(3);
                    context.getBeansOfType(MeterRegistry.class)
                            .forEach((name, registry) ->
                                    assertThat(requests(registry)).as(name).isEqualTo(1));
                });
    }

    @Test
    @DisplayName("fluxtally.metrics.enabled=false and fluxtally.enabled=false each remove the metrics")
    void disabled() {
        for (String property : new String[] {"fluxtally.metrics.enabled=false", "fluxtally.enabled=false"}) {
            app.withPropertyValues(property).run(context -> {
                assertThat(context)
                        .hasNotFailed()
                        .doesNotHaveBean(UsageMetrics.class)
                        .doesNotHaveBean(MeterRegistration.class);
                assertThat(context.getBean(MeterRegistry.class).getMeters())
                        .extracting(Meter::getId)
                        .extracting(Meter.Id::getName)
                        .noneMatch(name -> name.startsWith("fluxtally"));
            });
        }
    }

    @Test
    @DisplayName("fluxtally.metrics.naming and max-tag-values reach the meters")
    void settings() {
        app.withPropertyValues("fluxtally.metrics.naming=otel", "fluxtally.metrics.max-tag-values=1")
                .run(context -> {
                    for (String provider : new String[] {"openai", "dashscope"}) {
                        context.getBean(UsageRecorder.class)
                                .book(
                                        null,
                                        RequestUsage.builder("request", Instant.EPOCH)
                                                .provider(provider)
                                                .usage(TokenUsage.of(10, 5), UsageSource.REPORTED)
                                                .build());
                    }

                    MeterRegistry registry = context.getBean(MeterRegistry.class);
                    assertThat(registry.get("gen_ai.client.inference.usage.input_tokens")
                                    .counters())
                            .extracting(counter -> counter.getId().getTag("gen_ai.provider.name"))
                            .containsExactlyInAnyOrder("openai", "other");
                });
    }

    @Test
    @DisplayName("a bound that is no bound fails the start, with the property, the rule and the value")
    void invalidBound() {
        app.withPropertyValues("fluxtally.metrics.max-tag-values=0")
                .run(context -> assertThat(context)
                        .getFailure()
                        .rootCause()
                        .isInstanceOf(InvalidSettingException.class)
                        .hasMessage("fluxtally.metrics.max-tag-values must be 1 or more, but is 0"));
    }

    @Test
    @DisplayName("a naming that there is not fails the start, with the property and the value")
    void invalidNaming() {
        app.withPropertyValues("fluxtally.metrics.naming=prometheus")
                .run(context -> assertThat(context)
                        .getFailure()
                        .hasStackTraceContaining("fluxtally.metrics.naming")
                        .hasStackTraceContaining("prometheus"));
    }

    @Test
    @DisplayName("a registry that needs the recorder, as one that sends by a tapped client does, is no cycle")
    void noCycle() {
        bare.withUserConfiguration(SendingRegistry.class).run(context -> {
            assertThat(context).hasNotFailed();
            // Its first sending was measured before it was there.
            assertThat(requests(context.getBean(MeterRegistry.class))).isEqualTo(1);
        });
    }

    @Test
    @DisplayName("where beans are made when they are needed, requests are counted too")
    void lazyBeans() {
        app.withInitializer(context ->
                        context.addBeanFactoryPostProcessor(new LazyInitializationBeanFactoryPostProcessor()))
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request());

                    assertThat(requests(context.getBean(MeterRegistry.class))).isEqualTo(1);
                    assertThat(context.getBean(MeterRegistry.class)
                                    .find("fluxtally.runs.open")
                                    .gauge())
                            .isNotNull();
                });
    }

    @Test
    @DisplayName("an app with metrics of its own has each request counted once, and runs and drops as before")
    void ownMetrics() {
        app.withBean(UsageMetrics.class, () -> UsageMetrics.of(new SimpleMeterRegistry()))
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request());

                    assertThat(context).hasSingleBean(UsageMetrics.class);
                    MeterRegistry registry = context.getBean(MeterRegistry.class);
                    assertThat(registry.find("fluxtally.requests").counters()).isEmpty();
                    assertThat(registry.get("fluxtally.dropped.figures").functionCounters())
                            .hasSize(3);
                });
    }

    @Configuration(proxyBeanMethods = false)
    static class SendingRegistry {

        @Bean
        MeterRegistry registry(UsageRecorder recorder) {
            recorder.book(null, request());
            return new SimpleMeterRegistry(SimpleConfig.DEFAULT, Clock.SYSTEM);
        }
    }
}
