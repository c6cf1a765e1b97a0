/**
 * The edge to {@code io.micrometer:micrometer-observation}, which is optional at run time: what the requests of a model came to, on
 * Spring AI's observation of that model.
 */
@NullMarked
package io.fluxtally.usage.observation;

import org.jspecify.annotations.NullMarked;
