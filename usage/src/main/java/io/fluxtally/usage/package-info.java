/**
 * The values of token accounting: what one request used, what a run used, and the tally between them.
 *
 * <p>Everything here is immutable but {@link io.fluxtally.usage.RunTally}, and nothing here knows how a figure was
 * captured.
 */
@NullMarked
package io.fluxtally.usage;

import org.jspecify.annotations.NullMarked;
