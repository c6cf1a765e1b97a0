/** An agent over HTTP with Fluxtally on and off. */
@NullMarked
package io.fluxtally.benchmarks.app;

import org.jspecify.annotations.NullMarked;
