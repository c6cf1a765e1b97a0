/**
 * Exact usage in the graphs and agents of Spring AI Alibaba 1.1.2.2, as released: {@link io.fluxtally.alibaba.FluxtallyGraph}
 * for a graph, {@link io.fluxtally.alibaba.FluxtallyAgents} for an agent, {@link io.fluxtally.alibaba.GraphUsage} to read it.
 */
@NullMarked
package io.fluxtally.alibaba;

import org.jspecify.annotations.NullMarked;
