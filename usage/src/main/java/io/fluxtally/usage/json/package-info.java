/** Booked requests as JSON, for those who store them. */
@NullMarked
package io.fluxtally.usage.json;

import org.jspecify.annotations.NullMarked;
