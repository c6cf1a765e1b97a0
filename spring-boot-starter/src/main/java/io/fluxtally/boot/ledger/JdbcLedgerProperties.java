package io.fluxtally.boot.ledger;

import io.fluxtally.boot.InvalidSettingException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.sql.init.DatabaseInitializationMode;

/**
 * Settings of a ledger in the database of the app.
 *
 * @param initializeSchema Which databases the table is made in when the app starts.
 * @param platform Platform in the name of the script that makes the table. By default that of the database.
 * @param timeout Longest time that a statement may take, rounded up to whole seconds. 0 for any time.
 */
@ConfigurationProperties("fluxtally.ledger.jdbc")
public record JdbcLedgerProperties(
        @DefaultValue("embedded") DatabaseInitializationMode initializeSchema,
        @Nullable String platform,
        @DefaultValue("30s") Duration timeout) {

    /** Checks the time. */
    public JdbcLedgerProperties {
        if (timeout.isNegative()) {
            throw new InvalidSettingException("fluxtally.ledger.jdbc.timeout", "be 0 or more", timeout);
        }
    }
}
