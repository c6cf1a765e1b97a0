/**
 * What a ledger is checked against: the provider's bill ({@link io.fluxtally.ledger.reconcile.Reconciliation}), and itself
 * ({@link io.fluxtally.ledger.reconcile.LedgerVerification}). Both work in memory that does not grow with the ledger or the
 * bill; what does not fit goes through files that only the owner can read and that are deleted at the end.
 */
@NullMarked
package io.fluxtally.ledger.reconcile;

import org.jspecify.annotations.NullMarked;
