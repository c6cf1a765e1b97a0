/** The programs that the README quotes. */
@NullMarked
package io.fluxtally.examples;

import org.jspecify.annotations.NullMarked;
