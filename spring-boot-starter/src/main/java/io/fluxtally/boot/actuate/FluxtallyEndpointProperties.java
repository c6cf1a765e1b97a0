package io.fluxtally.boot.actuate;

import io.fluxtally.boot.InvalidSettingException;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of the actuator's endpoint.
 *
 * @param maxRuns Number of runs in the list, those that began last first. Sums have all that are remembered.
 */
@ConfigurationProperties("fluxtally.endpoint")
public record FluxtallyEndpointProperties(
        @DefaultValue("200") int maxRuns) {

    /** Checks the number. */
    public FluxtallyEndpointProperties {
        InvalidSettingException.atLeast("fluxtally.endpoint.max-runs", 0, maxRuns);
    }
}
