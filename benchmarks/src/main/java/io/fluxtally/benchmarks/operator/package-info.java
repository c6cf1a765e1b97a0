/** The usage-capturing operator beside what one would put in its place. */
@NullMarked
package io.fluxtally.benchmarks.operator;

import org.jspecify.annotations.NullMarked;
