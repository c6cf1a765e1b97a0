/** Checkpoints in a database, over plain JDBC. */
@NullMarked
package io.fluxtally.graph.checkpoint.jdbc;

import org.jspecify.annotations.NullMarked;
