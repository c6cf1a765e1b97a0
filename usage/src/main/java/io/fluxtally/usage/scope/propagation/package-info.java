/** The edge to {@code io.micrometer:context-propagation}, which is optional at run time. */
@NullMarked
package io.fluxtally.usage.scope.propagation;

import org.jspecify.annotations.NullMarked;
