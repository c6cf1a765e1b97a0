package io.fluxtally.boot.ledger;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.ledger.UsageLedger;
import io.fluxtally.ledger.jdbc.JdbcLedgerStore;
import javax.sql.DataSource;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBooleanProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.sql.init.dependency.DatabaseInitializationDependencyConfigurer;
import org.springframework.boot.sql.init.dependency.DependsOnDatabaseInitialization;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.jdbc.datasource.init.DatabasePopulator;

/**
 * Auto-configuration of the ledger, for an app that says where it is to be kept. An app that has a {@link UsageLedger} bean of
 * its own has that one fed and closed instead.
 */
@AutoConfiguration(
        after = FluxtallyAutoConfiguration.class,
        // By name: Boot 4 has it elsewhere.
        afterName = {
            "org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration",
            "org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration"
        })
@ConditionalOnClass(UsageLedger.class)
@ConditionalOnBooleanProperty(name = "fluxtally.enabled", matchIfMissing = true)
@EnableConfigurationProperties(LedgerProperties.class)
@ImportRuntimeHints(LedgerRuntimeHints.class)
public class LedgerAutoConfiguration {

    /** Closes the ledger, whoever made it. */
    @Bean
    @ConditionalOnBean(UsageLedger.class)
    LedgerLifecycle fluxtallyLedgerLifecycle(UsageLedger ledger, LedgerProperties settings) {
        return new LedgerLifecycle(ledger, settings.closeTimeout());
    }

    /** A ledger of files. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnProperty(name = "fluxtally.ledger.type", havingValue = "jsonl")
    @ConditionalOnMissingBean(UsageLedger.class)
    static class Files {

        @Bean
        UsageLedger fluxtallyUsageLedger(LedgerProperties settings) {
            return LedgerOpening.open(LedgerOpening.openFiles(settings.jsonl()), settings);
        }
    }

    /** A ledger in the app's database. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnProperty(name = "fluxtally.ledger.type", havingValue = "jdbc")
    @ConditionalOnMissingBean(UsageLedger.class)
    @EnableConfigurationProperties(JdbcLedgerProperties.class)
    static class Database {

        @Bean
        @DependsOnDatabaseInitialization
        UsageLedger fluxtallyUsageLedger(
                LedgerProperties settings, JdbcLedgerProperties jdbc, ObjectProvider<DataSource> dataSources) {
            return LedgerOpening.open(new JdbcLedgerStore(only(dataSources), jdbc.timeout()), settings);
        }

        private static DataSource only(ObjectProvider<DataSource> dataSources) {
            DataSource only = dataSources.getIfUnique();
            if (only == null) {
                throw new InvalidSettingException(
                        "fluxtally.ledger.type",
                        dataSources.stream().findAny().isPresent()
                                ? "not be jdbc in an app with several DataSource beans of which none is primary"
                                : "not be jdbc in an app without a DataSource bean",
                        "jdbc");
            }
            return only;
        }

        /** Makes the table. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnClass(DatabasePopulator.class)
        @Import(DatabaseInitializationDependencyConfigurer.class)
        static class Schema {

            @Bean
            @ConditionalOnMissingBean
            LedgerSchemaInitializer fluxtallyLedgerSchemaInitializer(
                    JdbcLedgerProperties jdbc, ObjectProvider<DataSource> dataSources) {
                return LedgerSchemaInitializer.of(only(dataSources), jdbc);
            }
        }
    }
}
