/**
 * Usage of processes that Fluxtally is not in: {@link io.fluxtally.conformance.capture.Capture} stands between one and its
 * provider and books what it is billed.
 */
@NullMarked
package io.fluxtally.conformance.capture;

import org.jspecify.annotations.NullMarked;
