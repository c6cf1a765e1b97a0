/** The tally of a run under threads, beside what one would put in its place. */
@NullMarked
package io.fluxtally.benchmarks.tally;

import org.jspecify.annotations.NullMarked;
