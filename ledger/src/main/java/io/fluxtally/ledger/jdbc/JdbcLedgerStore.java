package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerStore;
import io.fluxtally.usage.RequestUsage;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * A ledger in a table of the app's database, which several processes can share: {@code fluxtally_ledger}, see
 * {@link JdbcLedgerSchema}.
 *
 * <p>A batch is one transaction of its own. A record whose key is there, whoever wrote it, is passed over by the database.
 * What is committed is as durable as the database makes it. The database need not be there when the store is made. Where a
 * driver does not tell how many rows a batch has inserted (PostgreSQL's with {@code reWriteBatchedInserts}), a record that was
 * there counts as new.
 *
 * <p>Safe for use by any number of threads.
 */
public final class JdbcLedgerStore implements LedgerStore {

    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private final Database database;
    private final int timeoutSeconds;
    private volatile @Nullable JdbcDialect dialect;

    /** A store whose statements may take 30 seconds. */
    public JdbcLedgerStore(DataSource dataSource) {
        this(dataSource, TIMEOUT);
    }

    /**
     * A store whose statements may take so long, rounded up to whole seconds; 0 for any time.
     *
     * @throws IllegalArgumentException if the timeout is negative
     */
    public JdbcLedgerStore(DataSource dataSource, Duration timeout) {
        this.database = new Database(Objects.requireNonNull(dataSource, "dataSource"));
        if (timeout.isNegative()) {
            throw new IllegalArgumentException("timeout must not be negative, but is " + timeout);
        }
        long whole = Math.min(timeout.toSeconds(), Integer.MAX_VALUE - 1L);
        // Not down: less than a second would be any time.
        this.timeoutSeconds = (int) whole + (timeout.getNano() > 0 ? 1 : 0);
    }

    @Override
    public int append(List<RequestUsage> batch) {
        if (batch.isEmpty()) {
            return 0;
        }
        // In one order for all who write, so that two that write the same keys wait for each other and not in a circle.
        List<RequestUsage> sorted = new ArrayList<>(batch);
        sorted.sort(Comparator.comparing(RequestUsage::requestId));
        return database.inTransaction(
                "append %d records to the ledger".formatted(batch.size()), connection -> insert(connection, sorted));
    }

    private int insert(Connection connection, List<RequestUsage> batch) throws SQLException {
        JdbcDialect of = dialect;
        if (of == null) {
            of = JdbcDialect.of(connection);
            dialect = of;
        }
        return of.maxRows() > 1 ? insertRows(connection, of, batch) : insertBatch(connection, of, batch);
    }

    private int insertRows(Connection connection, JdbcDialect of, List<RequestUsage> batch) throws SQLException {
        int added = 0;
        for (int from = 0; from < batch.size(); from += of.maxRows()) {
            List<RequestUsage> rows = batch.subList(from, Math.min(from + of.maxRows(), batch.size()));
            try (PreparedStatement statement = connection.prepareStatement(of.insert(rows.size()))) {
                statement.setQueryTimeout(timeoutSeconds);
                int next = 1;
                for (RequestUsage request : rows) {
                    next = Columns.set(statement, next, request);
                }
                added += statement.executeUpdate();
            }
        }
        return added;
    }

    private int insertBatch(Connection connection, JdbcDialect of, List<RequestUsage> batch) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(of.insert(1))) {
            statement.setQueryTimeout(timeoutSeconds);
            for (RequestUsage request : batch) {
                int next = Columns.set(statement, 1, request);
                if (of.repeatsKey()) {
                    statement.setString(next, Columns.fitted(request.requestId()));
                }
                statement.addBatch();
            }
            int added = 0;
            for (int rows : statement.executeBatch()) {
                added += rows == Statement.SUCCESS_NO_INFO ? 1 : rows;
            }
            return added;
        }
    }

    /** Nothing: what was appended was committed. */
    @Override
    public void force() {}

    /** Nothing: the data source is the app's. */
    @Override
    public void close() {}
}
