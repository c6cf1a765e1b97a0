/** Models and chat clients that are beans. */
@NullMarked
package io.fluxtally.boot.chat;

import org.jspecify.annotations.NullMarked;
