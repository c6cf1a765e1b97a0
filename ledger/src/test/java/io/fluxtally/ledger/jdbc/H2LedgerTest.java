package io.fluxtally.ledger.jdbc;

import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;

@DisplayName("a ledger in H2")
class H2LedgerTest extends JdbcLedgerContract {

    @Override
    DataSource database() {
        JdbcDataSource database = new JdbcDataSource();
        database.setURL("jdbc:h2:mem:ledger;DB_CLOSE_DELAY=-1");
        return database;
    }
}
