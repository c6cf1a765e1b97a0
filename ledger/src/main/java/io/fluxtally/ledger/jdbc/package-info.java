/**
 * The ledger in the database of the app, PostgreSQL, MySQL, MariaDB or H2: several processes can write to one, and it
 * answers queries.
 */
@NullMarked
package io.fluxtally.ledger.jdbc;

import org.jspecify.annotations.NullMarked;
