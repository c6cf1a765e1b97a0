/** The operator that listens to a {@code Flux} without changing it. */
@NullMarked
package io.fluxtally.usage.reactor;

import org.jspecify.annotations.NullMarked;
