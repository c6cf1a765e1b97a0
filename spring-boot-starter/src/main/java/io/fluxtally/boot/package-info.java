/**
 * Fluxtally in a Spring Boot app: what is there when the starter is, and the properties that change it. Start at
 * {@link io.fluxtally.boot.runs.UsageRuns}.
 */
@NullMarked
package io.fluxtally.boot;

import org.jspecify.annotations.NullMarked;
