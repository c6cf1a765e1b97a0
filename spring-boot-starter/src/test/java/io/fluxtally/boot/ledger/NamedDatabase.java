package io.fluxtally.boot.ledger;

import static org.mockito.BDDMockito.given;
import static org.mockito.Mockito.mock;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.SQLException;
import java.util.Locale;
import org.springframework.jdbc.datasource.AbstractDataSource;

/** A database of which the name of the product is all there is. */
final class NamedDatabase extends AbstractDataSource {

    private final Connection connection = mock(Connection.class);

    NamedDatabase(String product) {
        DatabaseMetaData data = mock(DatabaseMetaData.class);
        try {
            given(connection.getMetaData()).willReturn(data);
            given(data.getDatabaseProductName()).willReturn(product);
            given(data.getURL()).willReturn("jdbc:%s://127.0.0.1/app".formatted(product.toLowerCase(Locale.ROOT)));
        } catch (SQLException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    @Override
    public Connection getConnection() {
        return connection;
    }

    @Override
    public Connection getConnection(String user, String password) {
        return connection;
    }
}
