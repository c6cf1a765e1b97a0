package io.fluxtally.graph.checkpoint.jdbc;

import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.CheckpointSaverContract;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Nested;

@DisplayName("a saver in PostgreSQL")
class PostgresCheckpointSaverTest {

    private static EmbeddedPostgres postgres;

    @BeforeAll
    static void start() throws IOException {
        postgres = EmbeddedPostgres.start();
        new JdbcCheckpointSaver(postgres.getPostgresDatabase())
                .initializeSchema()
                .block();
    }

    @AfterAll
    static void stop() throws IOException {
        postgres.close();
    }

    @Nested
    @DisplayName("whose connections commit each statement")
    class AutoCommit extends CheckpointSaverContract {

        @Override
        protected CheckpointSaver saver() {
            return new JdbcCheckpointSaver(postgres.getPostgresDatabase());
        }
    }

    @Nested
    @DisplayName("whose connections, as of some pools, commit when they are told to")
    class ManualCommit extends CheckpointSaverContract {

        @Override
        protected CheckpointSaver saver() {
            DataSource database = postgres.getPostgresDatabase();
            return new JdbcCheckpointSaver((DataSource) Proxy.newProxyInstance(
                    DataSource.class.getClassLoader(),
                    new Class<?>[] {DataSource.class},
                    (proxy, method, arguments) -> {
                        Connection connection = database.getConnection();
                        connection.setAutoCommit(false);
                        return connection;
                    }));
        }
    }
}
