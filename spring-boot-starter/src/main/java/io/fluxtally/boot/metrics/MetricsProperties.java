package io.fluxtally.boot.metrics;

import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.usage.metrics.MetricNaming;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Settings of the metrics.
 *
 * @param enabled Whether requests are counted in Micrometer's meters.
 * @param naming How meters and their tags are named.
 * @param maxTagValues Number of values of each tag. What comes later is counted as "other".
 */
@ConfigurationProperties("fluxtally.metrics")
public record MetricsProperties(
        @DefaultValue("true") boolean enabled,
        @DefaultValue("native") MetricNaming naming,
        @DefaultValue("100") int maxTagValues) {

    /** Checks the bound. */
    public MetricsProperties {
        InvalidSettingException.atLeast("fluxtally.metrics.max-tag-values", 1, maxTagValues);
    }
}
