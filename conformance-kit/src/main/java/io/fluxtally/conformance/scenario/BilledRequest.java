package io.fluxtally.conformance.scenario;

import io.fluxtally.usage.UsageSource;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP request as the provider bills it. What is not given is not checked. Immutable.
 *
 * @param responseId the id that the provider gave its response, null when not given
 * @param source where the figures come from, null when not given
 * @param figures the request's own figures
 */
public record BilledRequest(
        @Nullable String responseId, @Nullable UsageSource source, Figures figures) {}
