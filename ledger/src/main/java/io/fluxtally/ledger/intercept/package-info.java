/**
 * The logs that interceptors of coding agents write, one figure a line, and what they can add to booked requests:
 * {@link io.fluxtally.ledger.intercept.InterceptLog} reads them and keeps nothing but figures,
 * {@link io.fluxtally.ledger.intercept.Backfill} fills in the parts that requests lack.
 */
@NullMarked
package io.fluxtally.ledger.intercept;

import org.jspecify.annotations.NullMarked;
