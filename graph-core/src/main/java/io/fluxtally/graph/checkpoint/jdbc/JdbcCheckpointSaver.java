package io.fluxtally.graph.checkpoint.jdbc;

import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointConflictException;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * Keeps checkpoints in the table {@code fluxtally_checkpoint} of a database, so that another process can resume a run.
 * Tested with PostgreSQL and H2; the table is made by {@link #initializeSchema()}, or by the app itself.
 *
 * <p>Statements run on Reactor's threads for blocking work, each on a connection of its own and in a transaction of its
 * own. Safe for use by any number of threads.
 */
public final class JdbcCheckpointSaver implements CheckpointSaver {

    private static final String SCHEMA = """
            CREATE TABLE IF NOT EXISTS fluxtally_checkpoint (
                thread_id VARCHAR(255) NOT NULL,
                checkpoint_number BIGINT NOT NULL,
                status VARCHAR(16) NOT NULL,
                saved_at VARCHAR(32) NOT NULL,
                document TEXT NOT NULL,
                PRIMARY KEY (thread_id, checkpoint_number)
            )""";

    private static final String COLUMNS =
            "SELECT thread_id, checkpoint_number, status, saved_at, document FROM fluxtally_checkpoint";

    /** Inserts nothing unless the checkpoint is the next one; of two that are at once, the key lets one in. */
    private static final String INSERT = """
            INSERT INTO fluxtally_checkpoint (thread_id, checkpoint_number, status, saved_at, document)
            SELECT CAST(? AS VARCHAR(255)), CAST(? AS BIGINT), CAST(? AS VARCHAR(16)), CAST(? AS VARCHAR(32)), ?
            WHERE (SELECT COALESCE(MAX(checkpoint_number), 0) FROM fluxtally_checkpoint WHERE thread_id = ?) = ?""";

    private static final String SELECT_LAST = COLUMNS + " WHERE thread_id = ? AND checkpoint_number ="
            + " (SELECT MAX(checkpoint_number) FROM fluxtally_checkpoint WHERE thread_id = ?)";

    private static final String SELECT_ONE = COLUMNS + " WHERE thread_id = ? AND checkpoint_number = ?";

    private static final String SELECT_ALL = COLUMNS + " WHERE thread_id = ? ORDER BY checkpoint_number DESC";

    private static final String DELETE = "DELETE FROM fluxtally_checkpoint WHERE thread_id = ?";

    /** The state of a key that is there already, in PostgreSQL as in H2. */
    private static final String UNIQUE_VIOLATION = "23505";

    private final DataSource dataSource;

    /** A saver that has its table in the given database. */
    public JdbcCheckpointSaver(DataSource dataSource) {
        this.dataSource = Objects.requireNonNull(dataSource, "dataSource");
    }

    /** Makes the table, unless it is there. */
    public Mono<Void> initializeSchema() {
        return execute("make the table of checkpoints", SCHEMA, PreparedStatement::execute)
                .then();
    }

    @Override
    public Mono<Void> save(Checkpoint checkpoint) {
        return execute("save " + checkpoint, INSERT, statement -> {
                    statement.setString(1, checkpoint.threadId());
                    statement.setLong(2, checkpoint.number());
                    statement.setString(3, checkpoint.status().name());
                    statement.setString(4, checkpoint.savedAt().toString());
                    statement.setString(5, checkpoint.document());
                    statement.setString(6, checkpoint.threadId());
                    statement.setLong(7, checkpoint.number() - 1);
                    return statement.executeUpdate();
                })
                .onErrorMap(JdbcCheckpointSaver::isConflict, error -> conflict(checkpoint, error))
                .flatMap(rows -> rows == 1 ? Mono.empty() : Mono.error(conflict(checkpoint, null)));
    }

    private static boolean isConflict(Throwable error) {
        return error.getCause() instanceof SQLException cause && UNIQUE_VIOLATION.equals(cause.getSQLState());
    }

    private static CheckpointConflictException conflict(Checkpoint checkpoint, @Nullable Throwable error) {
        return new CheckpointConflictException(checkpoint, error == null ? null : error.getCause());
    }

    @Override
    public Mono<Checkpoint> last(String threadId) {
        return query("the last one of " + threadId, SELECT_LAST, threadId, threadId)
                .next();
    }

    @Override
    public Mono<Checkpoint> load(String threadId, long number) {
        return query(threadId + " " + number, SELECT_ONE, threadId, number).next();
    }

    @Override
    public Flux<Checkpoint> history(String threadId) {
        return query("all of " + threadId, SELECT_ALL, threadId);
    }

    @Override
    public Mono<Void> delete(String threadId) {
        return execute("delete checkpoints of " + threadId, DELETE, statement -> {
                    statement.setString(1, threadId);
                    return statement.executeUpdate();
                })
                .then();
    }

    private Flux<Checkpoint> query(String what, String sql, Object... parameters) {
        return execute("load checkpoints, " + what, sql, statement -> {
                    for (int i = 0; i < parameters.length; i++) {
                        statement.setObject(i + 1, parameters[i]);
                    }
                    try (ResultSet rows = statement.executeQuery()) {
                        List<Checkpoint> checkpoints = new ArrayList<>();
                        while (rows.next()) {
                            checkpoints.add(checkpoint(rows));
                        }
                        return checkpoints;
                    }
                })
                .flatMapIterable(checkpoints -> checkpoints);
    }

    private static Checkpoint checkpoint(ResultSet row) throws SQLException {
        return new Checkpoint(
                row.getString(1),
                row.getLong(2),
                Checkpoint.Status.valueOf(row.getString(3)),
                Instant.parse(row.getString(4)),
                row.getString(5));
    }

    /** What is done with a statement. */
    @FunctionalInterface
    private interface Work<T> {

        T on(PreparedStatement statement) throws SQLException;
    }

    /**
     * Does work on a thread for blocking work. It is not interrupted when the subscriber leaves: what is begun is to be
     * kept, and some drivers close their file when they are interrupted.
     */
    private <T> Mono<T> execute(String what, String sql, Work<T> work) {
        return Mono.fromFuture(
                () -> CompletableFuture.supplyAsync(
                        () -> inTransaction(what, sql, work),
                        task -> Schedulers.boundedElastic().schedule(task)),
                true);
    }

    private <T> T inTransaction(String what, String sql, Work<T> work) {
        try (Connection connection = dataSource.getConnection()) {
            boolean autoCommit = connection.getAutoCommit();
            T result;
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                result = work.on(statement);
            } catch (SQLException | RuntimeException failed) {
                if (!autoCommit) {
                    rollback(connection, failed);
                }
                throw failed;
            }
            if (!autoCommit) {
                connection.commit();
            }
            return result;
        } catch (SQLException failed) {
            throw new CheckpointException("could not " + what + ": " + messageOf(failed), failed);
        }
    }

    private static void rollback(Connection connection, Exception failed) {
        try {
            connection.rollback();
        } catch (SQLException alsoFailed) {
            failed.addSuppressed(alsoFailed);
        }
    }

    /** A database may say in its message what it was given: only its code is passed on. */
    private static @Nullable String messageOf(SQLException failed) {
        return "SQL state " + failed.getSQLState();
    }
}
