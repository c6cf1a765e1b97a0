package io.fluxtally.graph.checkpoint.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.graph.checkpoint.Checkpoint;
import io.fluxtally.graph.checkpoint.CheckpointException;
import io.fluxtally.graph.checkpoint.CheckpointSaver;
import io.fluxtally.graph.checkpoint.CheckpointSaverContract;
import java.time.Instant;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("a saver in H2")
class H2CheckpointSaverTest extends CheckpointSaverContract {

    private static final JdbcCheckpointSaver SAVER = new JdbcCheckpointSaver(database("checkpoints"));

    private static JdbcDataSource database(String name) {
        JdbcDataSource database = new JdbcDataSource();
        database.setURL("jdbc:h2:mem:%s;DB_CLOSE_DELAY=-1".formatted(name));
        return database;
    }

    @BeforeAll
    static void initialize() {
        SAVER.initializeSchema().block();
        SAVER.initializeSchema().block();
    }

    @Override
    protected CheckpointSaver saver() {
        return SAVER;
    }

    @Test
    @DisplayName("says what it could not do, and nothing of what it was given")
    void withoutTable() {
        CheckpointSaver saver = new JdbcCheckpointSaver(database("empty"));

        assertThatThrownBy(
                        () -> saver.save(new Checkpoint("t", 1, Checkpoint.Status.RUNNING, Instant.EPOCH, "a secret"))
                                .block())
                .isInstanceOf(CheckpointException.class)
                .hasMessage(
                        "could not save Checkpoint[threadId=t, number=1, status=RUNNING, savedAt=1970-01-01T00:00:00Z]: SQL state 42S04")
                .satisfies(error -> assertThat(error.toString()).doesNotContain("secret"));
    }
}
