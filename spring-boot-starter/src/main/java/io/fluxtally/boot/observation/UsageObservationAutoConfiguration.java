package io.fluxtally.boot.observation;

import io.fluxtally.usage.observation.ChatObservationListener;
import io.fluxtally.usage.observation.ChatUsageObservationFilter;
import io.micrometer.observation.ObservationRegistry;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnSingleCandidate;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/**
 * Auto-configuration of usage on observations. Boot registers the filter with the app's registry; neither a convention is
 * replaced nor anything set for the whole process.
 */
@AutoConfiguration(
        // Where Boot has the registry. By name: Boot 4 has it elsewhere, and an app may not have it at all.
        afterName = {
            "org.springframework.boot.actuate.autoconfigure.observation.ObservationAutoConfiguration",
            "org.springframework.boot.micrometer.observation.autoconfigure.ObservationAutoConfiguration"
        })
@ConditionalOnClass(ObservationRegistry.class)
@ConditionalOnSingleCandidate(ObservationRegistry.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@ConditionalOnBooleanProperty(name = "fluxtally.observations.enabled", matchIfMissing = true)
@EnableConfigurationProperties(ObservationProperties.class)
public class UsageObservationAutoConfiguration {

    /** Finds the observation of the model that a request is made for. */
    @Bean
    @ConditionalOnMissingBean
    ChatObservationListener fluxtallyChatObservationListener(ObservationRegistry registry) {
        return new ChatObservationListener(registry);
    }

    /** Puts there what its requests came to. */
    @Bean
    @ConditionalOnMissingBean
    ChatUsageObservationFilter fluxtallyChatUsageObservationFilter(ObservationProperties properties) {
        return new ChatUsageObservationFilter(properties.naming());
    }

    /** Observes the runs. */
    @Bean
    @ConditionalOnMissingBean
    RunObservations fluxtallyRunObservations(ObservationRegistry registry) {
        return new RunObservations(registry);
    }
}
