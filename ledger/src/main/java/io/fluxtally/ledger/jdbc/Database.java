package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerException;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;

/** Work on a connection, each in a transaction of its own, and what failed in words without what was written. */
final class Database {

    /** SQL states of values that the database refuses, whoever asks and when. */
    private static final String DATA_EXCEPTION = "22";

    private final DataSource dataSource;

    Database(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** What is done with a connection. */
    @FunctionalInterface
    interface Work<T> {

        T on(Connection connection) throws SQLException;
    }

    /**
     * Does work and commits it.
     *
     * @throws LedgerException if it could not be done, or not be committed
     */
    <T> T inTransaction(String what, Work<T> work) {
        try (Connection connection = connect(what)) {
            boolean autoCommit = connection.getAutoCommit();
            if (autoCommit) {
                connection.setAutoCommit(false);
            }
            T result;
            try {
                result = work.on(connection);
                connection.commit();
            } catch (SQLException | RuntimeException failed) {
                rollback(connection, autoCommit, failed);
                throw failed;
            }
            // A pool may not look at what it gets back.
            connection.setAutoCommit(autoCommit);
            return result;
        } catch (SQLException failed) {
            throw failure(what, failed);
        }
    }

    private Connection connect(String what) {
        try {
            return dataSource.getConnection();
        } catch (SQLException failed) {
            // Nothing was given to the database yet that its message could repeat.
            throw new LedgerException("could not %s: no connection".formatted(what), failed);
        }
    }

    private static void rollback(Connection connection, boolean autoCommit, Exception failed) {
        try {
            connection.rollback();
            connection.setAutoCommit(autoCommit);
        } catch (SQLException alsoFailed) {
            failed.addSuppressed(alsoFailed);
        }
    }

    /** Databases and drivers repeat in their messages what they were given, labels among it: the codes are passed on. */
    private static LedgerException failure(String what, SQLException failed) {
        SQLException error = failed;
        if (failed instanceof BatchUpdateException && failed.getNextException() != null) {
            error = failed.getNextException();
        }
        String state = error.getSQLState();
        String message = "could not %s: %s, SQL state %s, code %d"
                .formatted(what, error.getClass().getSimpleName(), state, error.getErrorCode());
        return state != null && state.startsWith(DATA_EXCEPTION)
                ? LedgerException.refused(message)
                : new LedgerException(message);
    }
}
