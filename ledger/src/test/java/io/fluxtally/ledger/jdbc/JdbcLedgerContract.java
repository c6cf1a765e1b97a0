package io.fluxtally.ledger.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.LedgerView;
import io.fluxtally.ledger.Records;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.UsageSum;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import javax.sql.DataSource;
import net.jqwik.api.Arbitrary;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** What a ledger does in every database. */
abstract class JdbcLedgerContract {

    private JdbcLedgerStore store;
    private JdbcLedgerReader reader;

    abstract DataSource database();

    @BeforeEach
    void emptyTable() {
        JdbcLedgerSchema.drop(database());
        JdbcLedgerSchema.create(database());
        JdbcLedgerSchema.create(database());
        store = new JdbcLedgerStore(database());
        reader = new JdbcLedgerReader(database());
    }

    static DataSource intercepting(DataSource database, Interceptor interceptor) {
        return (DataSource) Proxy.newProxyInstance(
                DataSource.class.getClassLoader(), new Class<?>[] {DataSource.class}, (proxy, method, arguments) -> {
                    Connection connection = database.getConnection();
                    return interceptor.on(connection);
                });
    }

    interface Interceptor {

        Connection on(Connection connection) throws SQLException;
    }

    private static UsageSum sum(List<RequestUsage> records, LedgerQuery query) {
        UsageSum sum = UsageSum.EMPTY;
        for (RequestUsage record : records) {
            sum = query.test(record) ? sum.plus(record) : sum;
        }
        return sum;
    }

    private static Map<String, UsageSum> sums(List<RequestUsage> records, LedgerView view, LedgerQuery query) {
        Map<String, UsageSum> sums = new HashMap<>();
        records.stream()
                .filter(query)
                .forEach(record -> sums.merge(
                        Columns.fitted(view.keyOf(record)),
                        UsageSum.EMPTY.plus(record),
                        (before, one) -> before.plus(record)));
        return sums;
    }

    @Test
    @DisplayName("gives back any record as it was given, and adds them up as the values do, by every query and view")
    void anyRecords() {
        Arbitrary<List<RequestUsage>> any = Records.any();
        for (int i = 0; i < 10; i++) {
            List<RequestUsage> records = any.sample();
            JdbcLedgerSchema.drop(database());
            JdbcLedgerSchema.create(database());

            assertThat(store.append(records)).isEqualTo(records.size());
            assertThat(store.append(records)).isZero();

            assertThat(reader.requests(LedgerQuery.ALL)).containsExactlyInAnyOrderElementsOf(records);
            for (LedgerQuery query : queries(records)) {
                assertThat(reader.total(query)).as(query.toString()).isEqualTo(sum(records, query));
                assertThat(reader.requests(query))
                        .containsExactlyInAnyOrderElementsOf(
                                records.stream().filter(query).toList());
            }
            for (LedgerView view : LedgerView.values()) {
                assertThat(reader.totalBy(view, LedgerQuery.ALL)).isEqualTo(sums(records, view, LedgerQuery.ALL));
            }
        }
    }

    private static List<LedgerQuery> queries(List<RequestUsage> records) {
        List<LedgerQuery> queries = new ArrayList<>(List.of(
                LedgerQuery.ALL.run("none at all"), LedgerQuery.ALL.day(LocalDate.of(2026, 2, 1), ZoneOffset.UTC)));
        for (RequestUsage record : records) {
            Stream.of(
                            record.runId() == null ? null : LedgerQuery.ALL.run(record.runId()),
                            record.model() == null ? null : LedgerQuery.ALL.model(record.model()),
                            record.responseId() == null ? null : LedgerQuery.ALL.response(record.responseId()),
                            byLabel(record, RequestUsage.CONVERSATION),
                            byLabel(record, RequestUsage.USER),
                            byLabel(record, RequestUsage.TENANT),
                            LedgerQuery.ALL.between(record.start(), Records.START.plusSeconds(100_000)))
                    .filter(Objects::nonNull)
                    .forEach(queries::add);
        }
        return queries;
    }

    private static LedgerQuery byLabel(RequestUsage record, String label) {
        String value = record.labels().get(label);
        if (value == null) {
            return null;
        }
        return switch (label) {
            case RequestUsage.CONVERSATION -> LedgerQuery.ALL.conversation(value);
            case RequestUsage.USER -> LedgerQuery.ALL.user(value);
            default -> LedgerQuery.ALL.tenant(value);
        };
    }

    @Test
    @DisplayName("reads more records than it holds at once, in the order in which they were sent")
    void pages() {
        List<RequestUsage> records = Records.plain(2500);
        for (int i = 0; i < records.size(); i += 500) {
            assertThat(store.append(records.subList(i, i + 500))).isEqualTo(500);
        }
        assertThat(reader.requests(LedgerQuery.ALL)).isEqualTo(records);
        assertThat(reader.totalBy(LedgerView.RUN, LedgerQuery.ALL.user("user-1").model("even")))
                .isEqualTo(sums(
                        records, LedgerView.RUN, LedgerQuery.ALL.user("user-1").model("even")));
    }

    @Test
    @DisplayName("keeps what two write at once, keys of both among it, once")
    void concurrent() throws Exception {
        List<RequestUsage> records = Records.plain(400);
        List<RequestUsage> backwards = new ArrayList<>(records);
        backwards.sort(Comparator.comparing(RequestUsage::start).reversed());
        ExecutorService threads = Executors.newFixedThreadPool(2);
        CyclicBarrier barrier = new CyclicBarrier(2);
        try {
            List<Future<Integer>> added = new ArrayList<>();
            for (List<RequestUsage> some : List.of(records, backwards)) {
                added.add(threads.submit(() -> {
                    int count = 0;
                    JdbcLedgerStore own = new JdbcLedgerStore(database());
                    barrier.await();
                    for (int i = 0; i < some.size(); i += 20) {
                        count += insistently(own, some.subList(i, i + 20));
                    }
                    return count;
                }));
            }
            assertThat(added.get(0).get() + added.get(1).get()).isEqualTo(400);
        } finally {
            threads.shutdown();
        }
        assertThat(reader.requests(LedgerQuery.ALL)).isEqualTo(records);
    }

    /** As a ledger does: a database may fail one of two that write the same at once. */
    private static int insistently(JdbcLedgerStore store, List<RequestUsage> batch) {
        while (true) {
            try {
                return store.append(batch);
            } catch (LedgerException again) {
                assertThat(again.isRefused()).isFalse();
            }
        }
    }

    @Test
    @DisplayName(
            "has a transaction of its own, whether connections commit by themselves or not, and leaves them as they were")
    void transactions() throws SQLException {
        for (boolean autoCommit : new boolean[] {true, false}) {
            Connection[] used = new Connection[1];
            DataSource pool = intercepting(database(), connection -> {
                connection.setAutoCommit(autoCommit);
                used[0] = unclosed(connection);
                return used[0];
            });
            assertThat(new JdbcLedgerStore(pool).append(List.of(Records.plain("auto-commit " + autoCommit, 1))))
                    .isEqualTo(1);
            assertThat(used[0].getAutoCommit()).isEqualTo(autoCommit);
            used[0].unwrap(Connection.class).close();
        }
        assertThat(reader.total(LedgerQuery.ALL).requests()).isEqualTo(2);
    }

    /** As a pool hands it out: closing it gives it back. */
    static Connection unclosed(Connection connection) {
        return (Connection) Proxy.newProxyInstance(
                DataSource.class.getClassLoader(), new Class<?>[] {Connection.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("close")) {
                        return null;
                    }
                    return method.getName().equals("unwrap") ? connection : method.invoke(connection, arguments);
                });
    }

    @Test
    @DisplayName("says what it could not do, and nothing of what it was given")
    void withoutTable() {
        JdbcLedgerSchema.drop(database());
        RequestUsage request = RequestUsage.builder("id", Records.START)
                .labels(Map.of(RequestUsage.USER, "a secret"))
                .build();
        assertThatThrownBy(() -> store.append(List.of(request)))
                .isInstanceOf(LedgerException.class)
                .hasMessageMatching("could not append 1 records to the ledger: \\w+, SQL state 42\\w+, code -?\\d+")
                .hasNoCause();
        assertThatThrownBy(() -> reader.total(LedgerQuery.ALL.user("a secret")))
                .isInstanceOf(LedgerException.class)
                .hasMessageStartingWith("could not add up the ledger: ")
                .hasMessageNotContaining("secret")
                .hasNoCause();
    }

    @Test
    @DisplayName("says that it has no connection")
    void noConnection() {
        DataSource gone = intercepting(database(), connection -> {
            connection.close();
            throw new SQLException("gone", "08001");
        });
        assertThatThrownBy(() -> new JdbcLedgerStore(gone).append(Records.plain(1)))
                .isInstanceOf(LedgerException.class)
                .hasMessage("could not append 1 records to the ledger: no connection")
                .hasRootCauseMessage("gone");
    }
}
