/** The edge to {@code io.micrometer:micrometer-core}, which is optional at run time. */
@NullMarked
package io.fluxtally.usage.metrics;

import org.jspecify.annotations.NullMarked;
