/** A Spring Boot app that streams answers of an agent with a tool. */
@NullMarked
package io.fluxtally.examples.boot;

import org.jspecify.annotations.NullMarked;
