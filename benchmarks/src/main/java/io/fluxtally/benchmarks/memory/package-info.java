/** What stays in memory while streams are open, and after. */
@NullMarked
package io.fluxtally.benchmarks.memory;

import org.jspecify.annotations.NullMarked;
