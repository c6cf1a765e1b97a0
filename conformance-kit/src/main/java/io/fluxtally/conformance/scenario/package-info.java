/**
 * Scenarios as values, and the one way to read them: {@link io.fluxtally.conformance.scenario.ScenarioReader}.
 */
@NullMarked
package io.fluxtally.conformance.scenario;

import org.jspecify.annotations.NullMarked;
