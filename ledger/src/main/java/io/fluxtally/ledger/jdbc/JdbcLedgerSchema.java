package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;

/**
 * Makes the table of a ledger, by the script for its database in this package: {@code schema-h2.sql},
 * {@code schema-postgresql.sql}, or {@code schema-mysql.sql}, which is MariaDB's too. Those who migrate their schemas by
 * other means take the scripts.
 */
public final class JdbcLedgerSchema {

    private JdbcLedgerSchema() {}

    /**
     * Makes the table and its indexes, unless they are there.
     *
     * @throws LedgerException if they could not be made
     */
    public static void create(DataSource dataSource) {
        try {
            run(dataSource, "make the table of the ledger", "schema-");
        } catch (LedgerException failed) {
            // In PostgreSQL, IF NOT EXISTS fails if another makes the table at the same moment.
            run(dataSource, "make the table of the ledger", "schema-");
        }
    }

    /**
     * Removes the table with all its records, if it is there.
     *
     * @throws LedgerException if it could not be removed
     */
    public static void drop(DataSource dataSource) {
        run(dataSource, "remove the table of the ledger", "schema-drop-");
    }

    private static void run(DataSource dataSource, String what, String prefix) {
        new Database(dataSource).inTransaction(what, connection -> {
            String script = prefix + JdbcDialect.of(connection).platform() + ".sql";
            return run(connection, read(script));
        });
    }

    private static int run(Connection connection, String script) throws SQLException {
        int count = 0;
        try (Statement statement = connection.createStatement()) {
            for (String sql : script.replaceAll("(?m)^--.*$", "").split(";")) {
                if (!sql.isBlank()) {
                    statement.execute(sql.strip());
                    count++;
                }
            }
        }
        return count;
    }

    private static String read(String script) {
        try (InputStream in = JdbcLedgerSchema.class.getResourceAsStream(script)) {
            if (in == null) {
                throw new LedgerException("the script %s is not on the class path".formatted(script));
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException failed) {
            throw new LedgerException("could not read the script " + script, failed);
        }
    }
}
