package io.fluxtally.boot.ledger;

import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.jdbc.DatabaseDriver;
import org.springframework.boot.jdbc.EmbeddedDatabaseConnection;
import org.springframework.boot.jdbc.init.DataSourceScriptDatabaseInitializer;
import org.springframework.boot.jdbc.init.PlatformPlaceholderDatabaseDriverResolver;
import org.springframework.boot.sql.init.DatabaseInitializationMode;
import org.springframework.boot.sql.init.DatabaseInitializationSettings;
import org.springframework.dao.DataAccessException;
import org.springframework.util.StringUtils;

/** Makes the table of the ledger by the script for the app's database, before anything is written to it. */
final class LedgerSchemaInitializer extends DataSourceScriptDatabaseInitializer {

    private static final String SCRIPT = "classpath:io/fluxtally/ledger/jdbc/schema-@@platform@@.sql";

    private LedgerSchemaInitializer(DataSource dataSource, DatabaseInitializationSettings settings) {
        super(dataSource, settings);
    }

    static LedgerSchemaInitializer of(DataSource dataSource, JdbcLedgerProperties properties) {
        DatabaseInitializationSettings settings = new DatabaseInitializationSettings();
        // Which database it is, is asked only where the answer is needed: one that is down must not keep the app down.
        boolean makes = properties.initializeSchema() == DatabaseInitializationMode.ALWAYS
                || (properties.initializeSchema() == DatabaseInitializationMode.EMBEDDED
                        && EmbeddedDatabaseConnection.isEmbedded(dataSource));
        settings.setMode(makes ? DatabaseInitializationMode.ALWAYS : DatabaseInitializationMode.NEVER);
        if (makes) {
            settings.setSchemaLocations(scripts(dataSource, properties.platform()));
        }
        return new LedgerSchemaInitializer(dataSource, settings);
    }

    static List<String> scripts(DataSource dataSource, @Nullable String platform) {
        PlatformPlaceholderDatabaseDriverResolver resolver = new PlatformPlaceholderDatabaseDriverResolver()
                .withDriverPlatform(DatabaseDriver.MARIADB, DatabaseDriver.MYSQL.getId());
        return StringUtils.hasText(platform)
                ? resolver.resolveAll(platform, SCRIPT)
                : resolver.resolveAll(dataSource, SCRIPT);
    }

    @Override
    protected void runScripts(Scripts scripts) {
        try {
            super.runScripts(scripts);
        } catch (DataAccessException failed) {
            // In PostgreSQL, IF NOT EXISTS fails if another instance of the app makes the table at the same moment.
            super.runScripts(scripts);
        }
    }
}
