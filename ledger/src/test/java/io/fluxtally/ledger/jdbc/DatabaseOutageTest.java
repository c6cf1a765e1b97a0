package io.fluxtally.ledger.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.ledger.LedgerCounters;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.Records;
import io.fluxtally.ledger.UsageLedger;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

@DisplayName("a ledger whose database goes away and comes back")
class DatabaseOutageTest {

    @TempDir
    Path temporary;

    private int port;

    private EmbeddedPostgres start() throws IOException {
        return EmbeddedPostgres.builder()
                .setDataDirectory(temporary.resolve("data"))
                .setCleanDataDirectory(false)
                .setPort(port)
                .start();
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static void await(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            LockSupport.parkNanos(1_000_000);
        }
    }

    @Test
    @DisplayName("has every record once when it is back, whatever was under way when it went")
    @Timeout(180)
    void comesBack() throws Exception {
        port = freePort();
        PGSimpleDataSource database = new PGSimpleDataSource();
        database.setUrl("jdbc:postgresql://127.0.0.1:%d/postgres?user=postgres&password=postgres".formatted(port));
        EmbeddedPostgres postgres = start();
        JdbcLedgerSchema.create(database);
        LedgerOptions options = LedgerOptions.spillingTo(temporary.resolve("spill"))
                .withLinger(Duration.ofMillis(5))
                .withRetries(1, Duration.ofMillis(5), Duration.ofMillis(100));
        AtomicInteger booked = new AtomicInteger();
        AtomicBoolean enough = new AtomicBoolean();
        UsageLedger ledger = UsageLedger.open(new JdbcLedgerStore(database), options);
        Thread load = new Thread(() -> {
            while (!enough.get()) {
                int i = booked.getAndIncrement();
                ledger.accept(Records.plain("request-" + i, i));
                LockSupport.parkNanos(200_000);
            }
        });
        load.start();
        try {
            for (int outage = 0; outage < 2; outage++) {
                long written = ledger.counters().written();
                await(() -> ledger.counters().written() > written);
                postgres.close();
                long spilled = ledger.counters().spilled();
                await(() -> ledger.counters().spilled() > spilled + 500);
                assertThat(ledger.flush(Duration.ofMillis(10)).isComplete()).isFalse();
                postgres = start();
            }
            long recovered = ledger.counters().recovered();
            await(() -> ledger.counters().recovered() > recovered);
            enough.set(true);
            load.join();

            assertThat(ledger.flush(Duration.ofSeconds(60)).isComplete()).isTrue();
            LedgerCounters counters = ledger.counters();
            assertThat(counters.accepted()).isEqualTo(booked.get());
            // One that was committed when the connection broke is known again when it is repeated.
            assertThat(counters.written() + counters.duplicates()).isEqualTo(booked.get());
            assertThat(counters.droppedTotal()).isZero();
            assertThat(counters.inSpill()).isZero();
            List<RequestUsage> all = Records.plain(booked.get());
            UsageSum bill = UsageSum.EMPTY;
            for (RequestUsage request : all) {
                bill = bill.plus(request);
            }
            JdbcLedgerReader reader = new JdbcLedgerReader(database);
            assertThat(reader.total(LedgerQuery.ALL)).isEqualTo(bill);
            assertThat(reader.requests(LedgerQuery.ALL)).isEqualTo(all);
        } finally {
            enough.set(true);
            load.join();
            ledger.close();
            postgres.close();
        }
    }

    @Test
    @DisplayName("need not have it at its start")
    @Timeout(180)
    void startsWithout() throws Exception {
        port = freePort();
        PGSimpleDataSource database = new PGSimpleDataSource();
        database.setUrl("jdbc:postgresql://127.0.0.1:%d/postgres?user=postgres&password=postgres".formatted(port));
        try (UsageLedger ledger = UsageLedger.open(
                new JdbcLedgerStore(database),
                LedgerOptions.spillingTo(temporary.resolve("spill"))
                        .withRetries(0, Duration.ofMillis(5), Duration.ofMillis(50)))) {
            Records.plain(100).forEach(ledger::accept);
            assertThat(ledger.flush(Duration.ofMillis(10)).isComplete()).isFalse();
            try (EmbeddedPostgres postgres = start()) {
                JdbcLedgerSchema.create(database);
                assertThat(ledger.flush(Duration.ofSeconds(60)).isComplete()).isTrue();
                assertThat(new JdbcLedgerReader(database).requests(LedgerQuery.ALL))
                        .isEqualTo(Records.plain(100));
                assertThat(postgres.getPort()).isEqualTo(port);
            }
        }
    }
}
