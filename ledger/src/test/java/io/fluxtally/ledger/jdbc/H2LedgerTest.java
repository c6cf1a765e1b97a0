package io.fluxtally.ledger.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.ledger.Records;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@DisplayName("a ledger in H2")
class H2LedgerTest extends JdbcLedgerContract {

    @Override
    DataSource database() {
        JdbcDataSource database = new JdbcDataSource();
        database.setURL("jdbc:h2:mem:ledger;DB_CLOSE_DELAY=-1");
        return database;
    }

    @ParameterizedTest
    @CsvSource({"PT0S, 0", "PT0.001S, 1", "PT1S, 1", "PT1.5S, 2"})
    @DisplayName("gives a statement no less than the time that it may take, and not any time if that is short")
    void timeout(Duration timeout, int seconds) throws SQLException {
        try (Connection connection = database().getConnection()) {
            DataSource one = intercepting(database(), other -> {
                other.close();
                return unclosed(connection);
            });
            new JdbcLedgerStore(one, timeout).append(Records.plain(1));
            try (Statement next = connection.createStatement()) {
                // H2 keeps it with the connection.
                assertThat(next.getQueryTimeout()).isEqualTo(seconds);
            }
        }
    }
}
