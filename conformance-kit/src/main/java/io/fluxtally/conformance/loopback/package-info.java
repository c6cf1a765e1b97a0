/**
 * An HTTP provider on the loopback interface that replays a scenario's responses:
 * {@link io.fluxtally.conformance.loopback.LoopbackProvider}.
 */
@NullMarked
package io.fluxtally.conformance.loopback;

import org.jspecify.annotations.NullMarked;
