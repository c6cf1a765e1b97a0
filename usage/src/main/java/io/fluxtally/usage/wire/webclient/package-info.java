/** The edge to Spring's {@code WebClient}, which is optional at run time. */
@NullMarked
package io.fluxtally.usage.wire.webclient;

import org.jspecify.annotations.NullMarked;
