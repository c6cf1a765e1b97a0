package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Collections;
import java.util.stream.Collectors;

/** The databases that a ledger can be in, and how each passes over a key that is there. */
enum JdbcDialect {
    H2("h2", 1) {
        @Override
        String insert(int rows) {
            // Of two that insert one key at once, H2 fails one; it finds the key when it tries again.
            return "INSERT INTO %1$s (%2$s) SELECT %3$s WHERE NOT EXISTS (SELECT 1 FROM %1$s WHERE %4$s = ?)"
                    .formatted(
                            Columns.TABLE,
                            String.join(", ", Columns.names()),
                            Columns.names().stream().map(JdbcDialect::typed).collect(Collectors.joining(", ")),
                            Columns.REQUEST_ID);
        }

        @Override
        boolean repeatsKey() {
            return true;
        }
    },
    POSTGRESQL("postgresql", 1) {
        @Override
        String insert(int rows) {
            return insertValues("INSERT INTO", rows) + " ON CONFLICT (%s) DO NOTHING".formatted(Columns.REQUEST_ID);
        }
    },
    /** MariaDB's driver does not tell what a batch of statements has inserted, but what one statement has. */
    MYSQL("mysql", 500) {
        @Override
        String insert(int rows) {
            // Not ON DUPLICATE KEY UPDATE: drivers count rows found by it, so that new ones cannot be told from others.
            return insertValues("INSERT IGNORE INTO", rows);
        }
    };

    private final String platform;
    private final int maxRows;

    JdbcDialect(String platform, int maxRows) {
        this.platform = platform;
        this.maxRows = maxRows;
    }

    /** The name in the names of the schema scripts. */
    String platform() {
        return platform;
    }

    /** How many rows a statement inserts at most. */
    int maxRows() {
        return maxRows;
    }

    /** Inserts rows of {@link Columns#names()}, each unless its key is there. */
    abstract String insert(int rows);

    /** Whether the key is a parameter once more at the end of the insert. */
    boolean repeatsKey() {
        return false;
    }

    static String insertValues(String verb, int rows) {
        String row = "(" + String.join(", ", Collections.nCopies(Columns.names().size(), "?")) + ")";
        return "%s %s (%s) VALUES %s"
                .formatted(
                        verb,
                        Columns.TABLE,
                        String.join(", ", Columns.names()),
                        String.join(", ", Collections.nCopies(rows, row)));
    }

    static String typed(String column) {
        if (column.equals(Columns.RECORD)) {
            return "CAST(? AS CHARACTER LARGE OBJECT)";
        }
        return Columns.isNumber(column) ? "CAST(? AS BIGINT)" : "CAST(? AS VARCHAR(255))";
    }

    /**
     * The dialect of a connection's database.
     *
     * @throws LedgerException if it is another database
     */
    static JdbcDialect of(Connection connection) throws SQLException {
        String product = connection.getMetaData().getDatabaseProductName();
        return switch (product) {
            case "H2" -> H2;
            case "PostgreSQL" -> POSTGRESQL;
            case "MySQL", "MariaDB" -> MYSQL;
            default ->
                throw new LedgerException(
                        "the database of a ledger must be PostgreSQL, MySQL, MariaDB or H2, but is " + product);
        };
    }
}
