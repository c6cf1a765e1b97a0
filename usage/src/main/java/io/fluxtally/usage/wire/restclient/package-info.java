/** The edge to Spring's {@code RestClient}, which is optional at run time. */
@NullMarked
package io.fluxtally.usage.wire.restclient;

import org.jspecify.annotations.NullMarked;
