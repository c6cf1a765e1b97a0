/** The agent graph beside Spring AI Alibaba's, on the same scripted model. */
@NullMarked
package io.fluxtally.benchmarks.graph;

import org.jspecify.annotations.NullMarked;
