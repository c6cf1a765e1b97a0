package io.fluxtally.boot.metrics;

import io.fluxtally.boot.ledger.LedgerAutoConfiguration;
import io.fluxtally.ledger.UsageLedger;
import io.micrometer.core.instrument.MeterRegistry;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Lazy;

/** Auto-configuration of the meters of a ledger, in an app with a {@link MeterRegistry}. */
@AutoConfiguration(
        after = LedgerAutoConfiguration.class,
        // By name: Boot 4 has it elsewhere.
        afterName = {
            "org.springframework.boot.actuate.autoconfigure.metrics.CompositeMeterRegistryAutoConfiguration",
            "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration"
        })
@ConditionalOnClass({MeterRegistry.class, UsageLedger.class})
@ConditionalOnBean(UsageLedger.class)
@ConditionalOnSingleCandidate(MeterRegistry.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@ConditionalOnBooleanProperty(name = "fluxtally.metrics.enabled", matchIfMissing = true)
public class LedgerMetricsAutoConfiguration {

    /** Not lazy, in no app: it is told when all beans are there. */
    @Bean
    @Lazy(false)
    @ConditionalOnMissingBean
    LedgerMeterRegistration fluxtallyLedgerMeterRegistration(
            ObjectProvider<MeterRegistry> registries, ObjectProvider<UsageLedger> ledger) {
        return new LedgerMeterRegistration(registries, ledger);
    }
}
