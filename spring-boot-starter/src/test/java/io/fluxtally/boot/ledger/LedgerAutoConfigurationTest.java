package io.fluxtally.boot.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.boot.FluxtallyAutoConfiguration;
import io.fluxtally.boot.InvalidSettingException;
import io.fluxtally.boot.metrics.LedgerMetricsAutoConfiguration;
import io.fluxtally.ledger.DropReason;
import io.fluxtally.ledger.JsonlLedgerStore;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.LedgerReader;
import io.fluxtally.ledger.UsageLedger;
import io.fluxtally.ledger.jdbc.JdbcLedgerReader;
import io.fluxtally.ledger.jdbc.JdbcLedgerSchema;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import io.fluxtally.usage.scope.UsageRecorder;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.predicate.RuntimeHintsPredicates;
import org.springframework.boot.LazyInitializationBeanFactoryPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.boot.web.context.WebServerGracefulShutdownLifecycle;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.datasource.AbstractDataSource;

@DisplayName("The ledger of an app")
@ExtendWith(OutputCaptureExtension.class)
class LedgerAutoConfigurationTest {

    private static final Duration LONG = Duration.ofSeconds(30);

    @TempDir
    Path directory;

    private final ApplicationContextRunner app = new ApplicationContextRunner()
            .withConfiguration(AutoConfigurations.of(
                    FluxtallyAutoConfiguration.class,
                    LedgerAutoConfiguration.class,
                    LedgerMetricsAutoConfiguration.class));

    private final JdbcDataSource database = newDatabase();

    /** In memory, and there for as long as the process is. */
    private static JdbcDataSource newDatabase() {
        JdbcDataSource database = new JdbcDataSource();
        database.setUrl("jdbc:h2:mem:" + UUID.randomUUID() + ";DB_CLOSE_DELAY=-1");
        database.setUser("sa");
        return database;
    }

    private ApplicationContextRunner files() {
        return app.withPropertyValues("fluxtally.ledger.type=jsonl", "fluxtally.ledger.jsonl.directory=" + directory);
    }

    private ApplicationContextRunner table() {
        return app.withConfiguration(AutoConfigurations.of(DataSourceAutoConfiguration.class))
                .withPropertyValues("fluxtally.ledger.type=jdbc", "spring.datasource.url=" + database.getUrl());
    }

    private static RequestUsage request(String id) {
        return RequestUsage.builder(id, Instant.EPOCH)
                .usage(TokenUsage.of(10, 5), UsageSource.REPORTED)
                .build();
    }

    private List<String> inFiles() {
        List<String> ids = new ArrayList<>();
        LedgerReader.of(directory).forEach(record -> ids.add(record.requestId()));
        return ids;
    }

    private List<String> inTable() {
        return new JdbcLedgerReader(database)
                .requests(LedgerQuery.ALL).stream().map(RequestUsage::requestId).toList();
    }

    @Test
    @DisplayName("is not there by default, also where there is a database")
    void noneByDefault() {
        app.withBean(DataSource.class, () -> database)
                .run(context -> assertThat(context)
                        .hasNotFailed()
                        .doesNotHaveBean(UsageLedger.class)
                        .doesNotHaveBean(LedgerLifecycle.class)
                        .doesNotHaveBean(LedgerSchemaInitializer.class)
                        .doesNotHaveBean(JdbcLedgerProperties.class));
        app.withPropertyValues("fluxtally.ledger.type=none")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(UsageLedger.class));
        files().withPropertyValues("fluxtally.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(UsageLedger.class));
    }

    @Test
    @DisplayName("in files has every booked request when the app has ended, those booked to the process too")
    void inFilesOfAnApp() {
        files().run(context -> {
            context.getBean(UsageRecorder.class).book(null, request("app"));
            UsageRecorder.shared().book(null, request("process"));
        });

        assertThat(inFiles()).containsExactly("app", "process");
    }

    @Test
    @DisplayName(
            "in the app's database has every booked request when the app has ended, in a table that was made for it")
    void inTheDatabaseOfAnApp() {
        table().run(context -> {
            assertThat(context).hasSingleBean(LedgerSchemaInitializer.class);
            context.getBean(UsageRecorder.class).book(null, request("app"));
        });

        assertThat(inTable()).containsExactly("app");
    }

    @Test
    @DisplayName("finds its table on the next start of the app")
    void tableIsThere() {
        for (String id : new String[] {"first", "second"}) {
            table().withPropertyValues("fluxtally.ledger.jdbc.initialize-schema=always")
                    .run(context -> context.getBean(UsageRecorder.class).book(null, request(id)));
        }

        assertThat(inTable()).containsExactlyInAnyOrder("first", "second");
    }

    @Test
    @DisplayName("has a table of the app's own making, if the app wants that, and does without Spring's JDBC too")
    void ownTable() {
        table().withPropertyValues("fluxtally.ledger.jdbc.initialize-schema=never")
                .run(context -> {
                    context.getBean(UsageRecorder.class).book(null, request("lost"));
                    assertThat(context.getBean(UsageLedger.class).flush(LONG).isComplete())
                            .isFalse();
                });
        JdbcLedgerSchema.create(database);
        app.withClassLoader(new FilteredClassLoader("org.springframework.jdbc"))
                .withBean(DataSource.class, () -> database)
                .withPropertyValues("fluxtally.ledger.type=jdbc")
                .run(context -> {
                    assertThat(context).hasNotFailed().doesNotHaveBean(LedgerSchemaInitializer.class);
                    context.getBean(UsageRecorder.class).book(null, request("kept"));
                });

        assertThat(inTable()).containsExactly("kept");
    }

    @Test
    @DisplayName(
            "has its table made by the script of the platform that is set, or of the database; MariaDB's is MySQL's")
    void platform() {
        assertThat(LedgerSchemaInitializer.scripts(database, null)).containsExactly(script("h2"));
        assertThat(LedgerSchemaInitializer.scripts(database, "postgresql")).containsExactly(script("postgresql"));
        assertThat(LedgerSchemaInitializer.scripts(new NamedDatabase("MariaDB"), null))
                .containsExactly(script("mysql"));
        assertThat(LedgerSchemaInitializer.scripts(new NamedDatabase("PostgreSQL"), null))
                .containsExactly(script("postgresql"));
    }

    private static String script(String platform) {
        return "classpath:io/fluxtally/ledger/jdbc/schema-%s.sql".formatted(platform);
    }

    @Test
    @DisplayName("fails the start of an app that has no database for it, or several")
    void noDataSource() {
        app.withPropertyValues("fluxtally.ledger.type=jdbc")
                .run(
                        context -> assertThat(context)
                                .getFailure()
                                .rootCause()
                                .isInstanceOf(InvalidSettingException.class)
                                .hasMessage(
                                        "fluxtally.ledger.type must not be jdbc in an app without a DataSource bean, but is jdbc"));
        app.withPropertyValues("fluxtally.ledger.type=jdbc")
                .withBean("one", DataSource.class, () -> database)
                .withBean("other", DataSource.class, LedgerAutoConfigurationTest::newDatabase)
                .run(context -> assertThat(context)
                        .getFailure()
                        .rootCause()
                        .isInstanceOf(InvalidSettingException.class)
                        .hasMessageContaining("several DataSource beans of which none is primary"));
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "type=jsonl jsonl.directory= | fluxtally.ledger.jsonl.directory must be given where fluxtally.ledger.type is jsonl, but is null",
                "capacity=0 | fluxtally.ledger.capacity must be 1 to 16777216, but is 0",
                "block-limit=-1ms | fluxtally.ledger.block-limit must be 0 to 1 day, but is PT-0.001S",
                "close-timeout=2d | fluxtally.ledger.close-timeout must be 0 to 1 day, but is PT48H",
                "overflow=spill | fluxtally.ledger.spill.directory must be given where fluxtally.ledger.overflow is spill, but is null",
                "overflow=drop spill.directory=x | fluxtally.ledger.overflow must be spill where fluxtally.ledger.spill.directory is given, but is drop",
                "spill.max-size=0B | fluxtally.ledger.spill.max-size must be 1 or more, but is 0",
                "spill.directory=x jsonl.directory=x/../x | fluxtally.ledger.spill.directory must be another directory than fluxtally.ledger.jsonl.directory, but is x",
                "jsonl.max-file-size=0B | fluxtally.ledger.jsonl.max-file-size must be 1 or more, but is 0",
                "type=jdbc jdbc.timeout=-1s | fluxtally.ledger.jdbc.timeout must be 0 or more, but is PT-1S"
            })
    @DisplayName("fails the start of an app by a setting that cannot be, with its name, the rule and the value")
    void badSetting(String settings, String message) {
        ApplicationContextRunner wrong = files().withBean(DataSource.class, () -> database);
        for (String setting : settings.split(" ")) {
            wrong = wrong.withPropertyValues("fluxtally.ledger." + setting);
        }
        wrong.run(context -> assertThat(context)
                .getFailure()
                .rootCause()
                .isInstanceOf(InvalidSettingException.class)
                .hasMessage(message));
    }

    @Configuration(proxyBeanMethods = false)
    @ImportAutoConfiguration({FluxtallyAutoConfiguration.class, LedgerAutoConfiguration.class})
    static class LedgerApp {}

    @Test
    @DisplayName("fails the start of an app whose directory another has, and says which setting it is")
    void lockedDirectory(CapturedOutput output) {
        try (JsonlLedgerStore other = JsonlLedgerStore.open(directory)) {
            SpringApplication second = new SpringApplication(LedgerApp.class);
            second.setWebApplicationType(WebApplicationType.NONE);
            try {
                second.run(
                        "--fluxtally.ledger.type=jsonl",
                        "--fluxtally.ledger.jsonl.directory=" + directory,
                        "--spring.main.banner-mode=off");
            } catch (RuntimeException expected) {
                assertThat(expected).hasStackTraceContaining("InvalidSettingException");
            }
        }
        assertThat(output)
                .contains(
                        "APPLICATION FAILED TO START",
                        "fluxtally.ledger.jsonl.directory must be a directory that this process can write, and no other does, but is "
                                + directory,
                        "another has it",
                        "Change fluxtally.ledger.jsonl.directory in the app's configuration");
    }

    @Test
    @DisplayName("fails the start of an app whose spill directory is a file, and gives the ledger's directory back")
    void spillDirectoryIsAFile() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "");
        files().withPropertyValues("fluxtally.ledger.spill.directory=" + file)
                .run(context -> assertThat(context)
                        .getFailure()
                        .hasStackTraceContaining(
                                "fluxtally.ledger.spill.directory must be a directory that this process can write, and no other does, but is "
                                        + file));

        files().run(context -> assertThat(context).hasNotFailed());
    }

    @Test
    @DisplayName(
            "in a database that is down keeps what is booked in the spill files, and writes it when the app starts again")
    void spills(CapturedOutput output) {
        ApplicationContextRunner spilling = app.withPropertyValues(
                "fluxtally.ledger.type=jdbc", "fluxtally.ledger.spill.directory=" + directory.resolve("spill"));
        spilling.withBean(DataSource.class, DownDatabase::new).run(context -> {
            assertThat(context).hasNotFailed();
            context.getBean(UsageRecorder.class).book(null, request("early"));
        });
        assertThat(output).contains("not all is in it: 1 requests are in the spill files, 0 were dropped");

        spilling.withBean(DataSource.class, () -> database)
                .run(context -> assertThat(context).hasNotFailed());

        assertThat(inTable()).containsExactly("early");
    }

    /** Books when it stops, as a web server does that answers its last requests. */
    record LateBooker(UsageRecorder recorder, int phase) implements SmartLifecycle {

        @Override
        public void start() {}

        @Override
        public void stop() {
            recorder.book(null, request("late"));
        }

        @Override
        public boolean isRunning() {
            return true;
        }

        @Override
        public int getPhase() {
            return phase;
        }
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                WebServerGracefulShutdownLifecycle.SMART_LIFECYCLE_PHASE,
                WebServerGracefulShutdownLifecycle.SMART_LIFECYCLE_PHASE - 1024
            })
    @DisplayName("has what is booked while the web server stops, and is closed before the data source is")
    void lateRequests(int phase) {
        table().withBean(LateBooker.class, UsageRecorder.shared(), phase).run(context -> {
            context.getBean(UsageRecorder.class).book(null, request("early"));
        });

        assertThat(inTable()).containsExactlyInAnyOrder("early", "late");
    }

    @Test
    @DisplayName("is fed and closed where beans are made when they are needed")
    void lazyBeans() {
        files().withInitializer(context ->
                        context.addBeanFactoryPostProcessor(new LazyInitializationBeanFactoryPostProcessor()))
                .run(context -> {
                    assertThat(context.getBean(LedgerLifecycle.class).isRunning())
                            .isTrue();
                    context.getBean(UsageRecorder.class).book(null, request("app"));
                });

        assertThat(inFiles()).containsExactly("app");
    }

    @Test
    @DisplayName("can be the app's own, which is fed, metered and closed too")
    void ownLedger() {
        UsageLedger own = UsageLedger.open(JsonlLedgerStore.open(directory), LedgerOptions.dropping());
        app.withPropertyValues("fluxtally.ledger.type=jdbc")
                .withBean("own", UsageLedger.class, () -> own, definition -> definition.setDestroyMethodName(""))
                .withBean(SimpleMeterRegistry.class)
                .run(context -> {
                    assertThat(context).hasNotFailed().hasSingleBean(UsageLedger.class);
                    context.getBean(UsageRecorder.class).book(null, request("app"));
                    assertThat(context.getBean(MeterRegistry.class)
                                    .get("fluxtally.ledger.accepted")
                                    .functionCounter()
                                    .count())
                            .isEqualTo(1);
                });
        own.accept(request("after"));

        assertThat(inFiles()).containsExactly("app");
        assertThat(own.counters().dropped(DropReason.CLOSED)).isEqualTo(1);
    }

    @Test
    @DisplayName("is metered: what it was given, what it wrote, and what it dropped by each reason")
    void meters() {
        files().withBean(SimpleMeterRegistry.class).run(context -> {
            UsageRecorder recorder = context.getBean(UsageRecorder.class);
            recorder.book(null, request("one"));
            recorder.book(null, request("one"));
            recorder.book(null, request("other"));
            assertThat(context.getBean(UsageLedger.class).flush(LONG).isComplete())
                    .isTrue();

            MeterRegistry registry = context.getBean(MeterRegistry.class);
            assertThat(count(registry, "accepted")).isEqualTo(3);
            assertThat(count(registry, "written")).isEqualTo(2);
            assertThat(count(registry, "duplicates")).isEqualTo(1);
            for (String none : new String[] {"leftover", "retries", "spilled", "recovered"}) {
                assertThat(count(registry, none)).as(none).isZero();
            }
            assertThat(registry.get("fluxtally.ledger.queued").gauge().value()).isZero();
            assertThat(registry.get("fluxtally.ledger.in.spill").gauge().value())
                    .isZero();
            assertThat(registry.get("fluxtally.ledger.dropped").functionCounters())
                    .hasSize(DropReason.values().length)
                    .allMatch(counter -> counter.count() == 0)
                    .extracting(counter -> counter.getId().getTag("reason"))
                    .contains("queue_full", "closed");
        });
    }

    private static double count(MeterRegistry registry, String name) {
        return registry.get("fluxtally.ledger." + name).functionCounter().count();
    }

    @Test
    @DisplayName("is not metered without Micrometer, without a registry, or where metrics are switched off")
    void notMetered() {
        files().withClassLoader(new FilteredClassLoader("io.micrometer.core"))
                .run(context -> assertThat(context)
                        .hasNotFailed()
                        .hasSingleBean(UsageLedger.class)
                        .doesNotHaveBean("fluxtallyLedgerMeterRegistration"));
        files().run(context -> assertThat(context).hasNotFailed().doesNotHaveBean("fluxtallyLedgerMeterRegistration"));
        files().withBean(SimpleMeterRegistry.class)
                .withPropertyValues("fluxtally.metrics.enabled=false")
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean("fluxtallyLedgerMeterRegistration"));
    }

    @Test
    @DisplayName("is nothing where its module is absent")
    void withoutTheModule() {
        app.withClassLoader(new FilteredClassLoader("io.fluxtally.ledger"))
                .run(context -> assertThat(context)
                        .hasNotFailed()
                        .doesNotHaveBean("fluxtallyUsageLedger")
                        .doesNotHaveBean("fluxtallyLedgerLifecycle"));
    }

    @Test
    @DisplayName("has its scripts in a native image")
    void hints() {
        RuntimeHints hints = new RuntimeHints();
        new LedgerRuntimeHints().registerHints(hints, null);

        for (String platform : new String[] {"h2", "postgresql", "mysql"}) {
            assertThat(RuntimeHintsPredicates.resource()
                            .forResource("io/fluxtally/ledger/jdbc/schema-%s.sql".formatted(platform)))
                    .accepts(hints);
        }
    }

    /** A database that nobody can connect to. */
    static final class DownDatabase extends AbstractDataSource {

        @Override
        public Connection getConnection() throws SQLException {
            throw new SQLException("down");
        }

        @Override
        public Connection getConnection(String user, String password) throws SQLException {
            throw new SQLException("down");
        }
    }
}
