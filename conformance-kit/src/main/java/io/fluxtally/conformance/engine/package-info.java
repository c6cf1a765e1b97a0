/** Runs scenarios through real clients, with Fluxtally and without, and holds what was counted against the bill. */
@NullMarked
package io.fluxtally.conformance.engine;

import org.jspecify.annotations.NullMarked;
