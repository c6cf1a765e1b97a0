/** The commands behind the launcher {@code ./fluxtally}, one class each. */
@NullMarked
package io.fluxtally.cli;

import org.jspecify.annotations.NullMarked;
