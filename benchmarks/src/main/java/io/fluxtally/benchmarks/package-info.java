/** Runs the benchmarks, and writes up what came out. */
@NullMarked
package io.fluxtally.benchmarks;

import org.jspecify.annotations.NullMarked;
