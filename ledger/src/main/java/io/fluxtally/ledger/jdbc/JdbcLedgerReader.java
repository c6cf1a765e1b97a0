package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerException;
import io.fluxtally.ledger.LedgerQuery;
import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.ledger.LedgerTime;
import io.fluxtally.ledger.LedgerView;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSum;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Answers queries from the table of a {@link JdbcLedgerStore}.
 *
 * <p>It blocks until the database has answered. Safe for use by any number of threads.
 */
public final class JdbcLedgerReader {

    /** How many records are read at once. */
    private static final int PAGE = 1000;

    private static final String SUMS = "COUNT(*), COALESCE(SUM(CASE WHEN source = 'REPORTED' THEN 0 ELSE 1 END), 0), "
            + "COALESCE(SUM(CASE WHEN source = 'MISSING' THEN 1 ELSE 0 END), 0), "
            + "SUM(input_tokens), SUM(output_tokens), SUM(total_tokens), "
            + Arrays.stream(TokenPart.values())
                    .map(part -> "SUM(%1$s), COUNT(%1$s)".formatted(part.key()))
                    .collect(Collectors.joining(", "));

    private static final BigDecimal MOST = BigDecimal.valueOf(Long.MAX_VALUE);

    private final Database database;

    /** A reader of the ledger in a database. */
    public JdbcLedgerReader(DataSource dataSource) {
        this.database = new Database(Objects.requireNonNull(dataSource, "dataSource"));
    }

    /**
     * The records that are asked for, added up by the database.
     *
     * @throws LedgerException if it could not be asked
     */
    public UsageSum total(LedgerQuery query) {
        return database.inTransaction("add up the ledger", connection -> {
            Where where = new Where(query);
            try (PreparedStatement select = where.prepare(connection, "SELECT " + SUMS + " FROM " + Columns.TABLE, "");
                    ResultSet row = select.executeQuery()) {
                row.next();
                return sum(row, 1);
            }
        });
    }

    /**
     * The records that are asked for, added up by a view, in the order of its keys. A key is as
     * {@link LedgerView#keyOf} gives it; one that its column cannot hold as it is, for its length or its characters, ends in
     * its SHA-256.
     *
     * @throws LedgerException if the database could not be asked
     */
    public Map<String, UsageSum> totalBy(LedgerView view, LedgerQuery query) {
        String column = "COALESCE(%s, '%s')".formatted(column(view), RunUsage.NONE);
        return database.inTransaction("add up the ledger", connection -> {
            Where where = new Where(query);
            String select = "SELECT %s, %s FROM %s".formatted(column, SUMS, Columns.TABLE);
            Map<String, UsageSum> sums = new TreeMap<>();
            try (PreparedStatement statement = where.prepare(connection, select, " GROUP BY " + column);
                    ResultSet row = statement.executeQuery()) {
                while (row.next()) {
                    sums.put(row.getString(1), sum(row, 2));
                }
            }
            return sums;
        });
    }

    private static String column(LedgerView view) {
        return switch (view) {
            case RUN -> Columns.RUN_ID;
            case CONVERSATION -> Columns.CONVERSATION;
            case USER -> Columns.USER;
            case TENANT -> Columns.TENANT;
            case MODEL -> Columns.MODEL;
            case DAY -> Columns.STARTED_DAY;
        };
    }

    private static UsageSum sum(ResultSet row, int first) throws SQLException {
        int at = first;
        long requests = row.getLong(at++);
        long unreported = row.getLong(at++);
        long missing = row.getLong(at++);
        TokenUsage.Builder total = TokenUsage.builder()
                .inputTokens(number(row, at++))
                .outputTokens(number(row, at++))
                .totalTokens(number(row, at++));
        Map<TokenPart, Long> reportedBy = new EnumMap<>(TokenPart.class);
        for (TokenPart part : TokenPart.values()) {
            long tokens = number(row, at++);
            long count = row.getLong(at++);
            if (count > 0) {
                total.part(part, tokens);
                reportedBy.put(part, count);
            }
        }
        return UsageSum.of(total.build(), requests, unreported, missing, reportedBy);
    }

    /** A sum, which a database makes in as many digits as it takes. */
    private static long number(ResultSet row, int at) throws SQLException {
        BigDecimal value = row.getBigDecimal(at);
        return value == null ? 0 : value.min(MOST).longValue();
    }

    /**
     * Hands over the records that are asked for, in the order in which they were sent. They are read some at a time, so that
     * memory does not grow with them and no transaction stays open; what is written meanwhile may be among them or not.
     *
     * @throws LedgerException if the database could not be asked, or a record is of a later version
     */
    public void forEach(LedgerQuery query, Consumer<? super RequestUsage> action) {
        Row last = null;
        List<Row> page;
        do {
            page = page(query, last);
            for (Row row : page) {
                action.accept(LedgerRecord.read(row.record));
                last = row;
            }
        } while (page.size() == PAGE);
    }

    /** The records that are asked for, in the order in which they were sent; for those that are not too many. */
    public List<RequestUsage> requests(LedgerQuery query) {
        List<RequestUsage> requests = new ArrayList<>();
        forEach(query, requests::add);
        return requests;
    }

    private record Row(long startedAt, String key, String record) {}

    private List<Row> page(LedgerQuery query, @Nullable Row after) {
        return database.inTransaction("read the ledger", connection -> {
            Where where = new Where(query);
            if (after != null) {
                where.and(
                        "(started_at > ? OR (started_at = ? AND request_id > ?))",
                        after.startedAt,
                        after.startedAt,
                        after.key);
            }
            List<Row> rows = new ArrayList<>();
            String select = "SELECT started_at, request_id, record FROM " + Columns.TABLE;
            String order = " ORDER BY started_at, request_id LIMIT " + PAGE;
            try (PreparedStatement statement = where.prepare(connection, select, order);
                    ResultSet row = statement.executeQuery()) {
                while (row.next()) {
                    rows.add(new Row(row.getLong(1), row.getString(2), row.getString(3)));
                }
            }
            return rows;
        });
    }

    /** The conditions of a query, with their values. */
    private static final class Where {

        private final List<String> conditions = new ArrayList<>();
        private final List<Object> values = new ArrayList<>();

        Where(LedgerQuery query) {
            text(Columns.RUN_ID, query.runId());
            text(Columns.CONVERSATION, query.conversation());
            text(Columns.USER, query.user());
            text(Columns.TENANT, query.tenant());
            text(Columns.MODEL, query.model());
            text(Columns.RESPONSE_ID, query.responseId());
            time(">=", query.from());
            time("<", query.to());
        }

        private void text(String column, @Nullable String value) {
            if (value != null) {
                and(column + " = ?", Columns.fitted(value));
            }
        }

        private void time(String comparison, @Nullable Instant time) {
            if (time != null) {
                and("%s %s ?".formatted(Columns.STARTED_AT, comparison), LedgerTime.millis(time));
            }
        }

        void and(String condition, Object... of) {
            conditions.add(condition);
            values.addAll(List.of(of));
        }

        PreparedStatement prepare(Connection connection, String select, String rest) throws SQLException {
            String where = conditions.isEmpty() ? "" : " WHERE " + String.join(" AND ", conditions);
            PreparedStatement statement = connection.prepareStatement(select + where + rest);
            for (int i = 0; i < values.size(); i++) {
                statement.setObject(i + 1, values.get(i));
            }
            return statement;
        }
    }
}
