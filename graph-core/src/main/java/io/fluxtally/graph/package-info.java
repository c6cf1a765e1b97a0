/**
 * A small agent graph on Reactor whose token usage is right by construction: nodes, edges, conditional edges and loops
 * over a state, streamed or not.
 */
@NullMarked
package io.fluxtally.graph;

import org.jspecify.annotations.NullMarked;
