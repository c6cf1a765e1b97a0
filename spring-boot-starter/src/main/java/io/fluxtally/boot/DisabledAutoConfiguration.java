package io.fluxtally.boot;

import io.fluxtally.boot.runs.RunHistory;
import io.fluxtally.boot.runs.UsageRuns;
import java.time.Duration;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;

/**
 * Auto-configuration of an app in which Fluxtally is switched off: code that has runs injected goes on working, and its runs
 * stay empty.
 */
@AutoConfiguration
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", havingValue = false)
public class DisabledAutoConfiguration {

    @Bean
    @ConditionalOnMissingBean
    UsageRuns fluxtallyUsageRuns() {
        return new UsageRuns(new RunHistory(0, 1_000, Duration.ofMinutes(1), 0));
    }
}
