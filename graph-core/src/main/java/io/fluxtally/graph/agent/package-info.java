/** Agents over the graph: the LLM node, the tool node, and the ReAct agent made of them. */
@NullMarked
package io.fluxtally.graph.agent;

import org.jspecify.annotations.NullMarked;
