package io.fluxtally.boot.observation;

import io.fluxtally.usage.observation.ChatUsageObservationFilter.Naming;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of usage on observations.
 *
 * @param enabled Whether observations of models carry what was used, and runs are observed.
 * @param naming Namespace of what OpenTelemetry's conventions have no stable name for, such as reasoning.
 */
@ConfigurationProperties("fluxtally.observations")
public record ObservationProperties(
        @DefaultValue("true") boolean enabled,
        @DefaultValue("native") Naming naming) {}
