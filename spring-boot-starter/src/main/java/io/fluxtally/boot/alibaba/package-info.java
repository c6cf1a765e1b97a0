/** Exact usage in the agents and graphs of Spring AI Alibaba that are beans. */
@NullMarked
package io.fluxtally.boot.alibaba;

import org.jspecify.annotations.NullMarked;
