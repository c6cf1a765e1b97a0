/** The ledger of an app: every booked request, in files or in the app's database, where the app asks for it. */
@NullMarked
package io.fluxtally.boot.ledger;

import org.jspecify.annotations.NullMarked;
