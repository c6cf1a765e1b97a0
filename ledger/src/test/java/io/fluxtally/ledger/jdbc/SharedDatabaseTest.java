package io.fluxtally.ledger.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerFlush;
import io.fluxtally.ledger.LedgerOptions;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.LedgerStore;
import io.fluxtally.ledger.LedgerView;
import io.fluxtally.ledger.OtherJvm;
import io.fluxtally.ledger.Records;
import io.fluxtally.ledger.UsageLedger;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

@DisplayName("a database that two processes write to")
class SharedDatabaseTest {

    /** The first writes those before the end, the second those from the middle: the overlap is written by both. */
    private static final int REQUESTS = 6000;

    @TempDir
    Path temporary;

    /** Writes a range of requests, some twice, to a store that fails before or after it has written. */
    static final class Writer {

        private Writer() {}

        public static void main(String[] arguments) {
            int from = Integer.parseInt(arguments[1]);
            int to = Integer.parseInt(arguments[2]);
            Random random = new Random(from);
            LedgerStore store = new Unreliable(new JdbcLedgerStore(database(arguments[0])), new Random(to));
            LedgerOptions options = LedgerOptions.spillingTo(Path.of(arguments[3]))
                    .withBatchSize(20)
                    .withLinger(Duration.ofMillis(1))
                    .withRetries(1, Duration.ofMillis(1), Duration.ofMillis(5));
            LedgerFlush flush;
            try (UsageLedger ledger = UsageLedger.open(store, options)) {
                for (int i = from; i < to; i++) {
                    ledger.accept(Records.plain("request-" + i, i));
                    if (random.nextInt(5) == 0) {
                        int again = from + random.nextInt(i - from + 1);
                        ledger.accept(Records.plain("request-" + again, again));
                    }
                }
                flush = ledger.flush(Duration.ofSeconds(60));
                System.out.println(flush + " " + ledger.counters());
            }
            System.exit(flush.isComplete() ? 0 : 1);
        }
    }

    private record Unreliable(LedgerStore store, Random random) implements LedgerStore {

        @Override
        public int append(List<RequestUsage> batch) {
            int mood = random.nextInt(6);
            if (mood == 0) {
                throw new LedgerException("lost before it was written");
            }
            int added = store.append(batch);
            if (mood == 1) {
                throw new LedgerException("lost after it was written");
            }
            return added;
        }

        @Override
        public void force() {
            store.force();
        }

        @Override
        public void close() {
            store.close();
        }
    }

    private static PGSimpleDataSource database(String port) {
        PGSimpleDataSource database = new PGSimpleDataSource();
        database.setUrl("jdbc:postgresql://127.0.0.1:%s/postgres?user=postgres&password=postgres".formatted(port));
        return database;
    }

    private Process write(int port, int from, int to) throws IOException {
        return OtherJvm.start(
                Writer.class,
                String.valueOf(port),
                String.valueOf(from),
                String.valueOf(to),
                temporary.resolve("spill-" + from).toString());
    }

    @Test
    @DisplayName("comes to the bill, with repetitions and duplicates of both")
    @Timeout(180)
    void comesToTheBill() throws IOException, InterruptedException {
        try (EmbeddedPostgres postgres = EmbeddedPostgres.start()) {
            PGSimpleDataSource database = database(String.valueOf(postgres.getPort()));
            JdbcLedgerSchema.create(database);
            List<Process> writers = List.of(
                    write(postgres.getPort(), 0, REQUESTS * 2 / 3), write(postgres.getPort(), REQUESTS / 3, REQUESTS));
            try {
                for (Process writer : writers) {
                    String said = new String(writer.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                    assertThat(writer.waitFor(60, TimeUnit.SECONDS)).isTrue();
                    assertThat(writer.exitValue()).as(said).isZero();
                }
            } finally {
                writers.forEach(Process::destroyForcibly);
            }

            UsageSum bill = UsageSum.EMPTY;
            Map<String, UsageSum> billByModel = new HashMap<>();
            for (RequestUsage request : Records.plain(REQUESTS)) {
                bill = bill.plus(request);
                billByModel.merge(
                        LedgerView.MODEL.keyOf(request), UsageSum.EMPTY.plus(request), (sum, one) -> sum.plus(request));
            }
            JdbcLedgerReader reader = new JdbcLedgerReader(database);
            assertThat(reader.total(LedgerQuery.ALL)).isEqualTo(bill);
            assertThat(reader.totalBy(LedgerView.MODEL, LedgerQuery.ALL)).isEqualTo(billByModel);
            assertThat(reader.requests(LedgerQuery.ALL)).isEqualTo(Records.plain(REQUESTS));
        }
    }
}
