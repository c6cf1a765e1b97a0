/** What a ledger costs the streams of the app that keeps it. */
@NullMarked
package io.fluxtally.benchmarks.ledger;

import org.jspecify.annotations.NullMarked;
