/**
 * A ledger of booked requests that outlives the process: {@link io.fluxtally.ledger.UsageLedger} takes them from the app and
 * writes them to a store, of files ({@link io.fluxtally.ledger.JsonlLedgerStore}) or of a database
 * ({@code io.fluxtally.ledger.jdbc}). Totals in memory never depend on it.
 */
@NullMarked
package io.fluxtally.ledger;

import org.jspecify.annotations.NullMarked;
