/** The wire tap beside the same client without it. */
@NullMarked
package io.fluxtally.benchmarks.wire;

import org.jspecify.annotations.NullMarked;
