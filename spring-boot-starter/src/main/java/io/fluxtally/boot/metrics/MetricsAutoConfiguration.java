package io.fluxtally.boot.metrics;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.usage.metrics.UsageMetrics;
import io.fluxtally.usage.wire.WireTap;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Lazy;

/**
 * Auto-configuration of the metrics of an app with a {@link MeterRegistry}. An app that has a {@link UsageMetrics} bean of its
 * own has its requests counted by that alone.
 */
@AutoConfiguration(
        after = FluxtallyAutoConfiguration.class,
        // By name: Boot 4 has it elsewhere.
        afterName = {
            "org.springframework.boot.actuate.autoconfigure.metrics.CompositeMeterRegistryAutoConfiguration",
            "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration"
        })
@ConditionalOnClass(MeterRegistry.class)
@ConditionalOnSingleCandidate(MeterRegistry.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@ConditionalOnBooleanProperty(name = "fluxtally.metrics.enabled", matchIfMissing = true)
@EnableConfigurationProperties(MetricsProperties.class)
public class MetricsAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean
    UsageMetrics fluxtallyUsageMetrics(MeterRegistry registry, MetricsProperties properties) {
        return UsageMetrics.builder(registry)
                .naming(properties.naming())
                .maxTagValues(properties.maxTagValues())
                .build();
    }

    /** Not lazy, in no app: it is told when all beans are there. */
    @Bean
    @Lazy(false)
    @ConditionalOnMissingBean
    MeterRegistration fluxtallyMeterRegistration(
            ObjectProvider<MeterRegistry> registries, ObjectProvider<WireTap> tap, ObjectProvider<RunHistory> history) {
        return new MeterRegistration(registries, tap, history);
    }
}
