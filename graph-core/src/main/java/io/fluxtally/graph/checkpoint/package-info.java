/**
 * Where runs are saved so that they can go on later, in another process too: what a checkpoint is, what keeps it, and how
 * the values of a state become JSON.
 */
@NullMarked
package io.fluxtally.graph.checkpoint;

import org.jspecify.annotations.NullMarked;
