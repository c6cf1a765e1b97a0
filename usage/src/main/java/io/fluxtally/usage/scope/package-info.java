/**
 * How a request finds its run: the scope that travels with the work, the slot of a model call, and the place where
 * requests are booked.
 */
@NullMarked
package io.fluxtally.usage.scope;

import org.jspecify.annotations.NullMarked;
