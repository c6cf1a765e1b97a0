/**
 * What each provider family writes on the wire, one class a family, and what such a class is made of: a {@link
 * io.fluxtally.usage.wire.dialect.Dialect} names the places that it wants to see, and its reading makes figures of them.
 */
@NullMarked
package io.fluxtally.usage.wire.dialect;

import org.jspecify.annotations.NullMarked;
