/**
 * A proxy on the loopback interface that writes what passes as scenario files, without a word of what was said:
 * {@link io.fluxtally.conformance.record.Recorder}.
 */
@NullMarked
package io.fluxtally.conformance.record;

import org.jspecify.annotations.NullMarked;
