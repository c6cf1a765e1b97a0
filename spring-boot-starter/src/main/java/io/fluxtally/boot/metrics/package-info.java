/** Metrics of every request, in an app that has Micrometer. */
@NullMarked
package io.fluxtally.boot.metrics;

import org.jspecify.annotations.NullMarked;
