/**
 * A proxy on loopback that passes HTTP byte for byte and lets somebody watch: {@link io.fluxtally.conformance.proxy.PassThrough}.
 * Whatever the watching does, the traffic goes on.
 */
@NullMarked
package io.fluxtally.conformance.proxy;

import org.jspecify.annotations.NullMarked;
