/** Runs as an app opens them, and the runs that there were of late. */
@NullMarked
package io.fluxtally.boot.runs;

import org.jspecify.annotations.NullMarked;
