package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.Objects;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Which records of a ledger: {@code LedgerQuery.ALL.user("u-17").day(LocalDate.of(2026, 1, 31), ZoneOffset.UTC)}. What is
 * null is not asked for.
 *
 * <p>Immutable.
 *
 * @param runId of this run
 * @param conversation with this {@link RequestUsage#CONVERSATION} label
 * @param user with this {@link RequestUsage#USER} label
 * @param tenant with this {@link RequestUsage#TENANT} label
 * @param model counted under this {@link RequestUsage#model() model}
 * @param responseId with this id of the provider's
 * @param from sent at this time or later; to the millisecond
 * @param to sent before this time; to the millisecond
 */
public record LedgerQuery(
        @Nullable String runId,
        @Nullable String conversation,
        @Nullable String user,
        @Nullable String tenant,
        @Nullable String model,
        @Nullable String responseId,
        @Nullable Instant from,
        @Nullable Instant to)
        implements Predicate<RequestUsage> {

    /** All records. */
    public static final LedgerQuery ALL = new LedgerQuery(null, null, null, null, null, null, null, null);

    /** Those of a run. */
    public LedgerQuery run(String id) {
        return new LedgerQuery(id, conversation, user, tenant, model, responseId, from, to);
    }

    /** Those of a conversation. */
    public LedgerQuery conversation(String value) {
        return new LedgerQuery(runId, value, user, tenant, model, responseId, from, to);
    }

    /** Those made for a user. */
    public LedgerQuery user(String value) {
        return new LedgerQuery(runId, conversation, value, tenant, model, responseId, from, to);
    }

    /** Those made for a tenant. */
    public LedgerQuery tenant(String value) {
        return new LedgerQuery(runId, conversation, user, value, model, responseId, from, to);
    }

    /** Those counted under a model. */
    public LedgerQuery model(String value) {
        return new LedgerQuery(runId, conversation, user, tenant, value, responseId, from, to);
    }

    /** Those of a response of the provider. */
    public LedgerQuery response(String id) {
        return new LedgerQuery(runId, conversation, user, tenant, model, id, from, to);
    }

    /** Those sent in a period, its end excluded. */
    public LedgerQuery between(Instant start, Instant end) {
        return new LedgerQuery(runId, conversation, user, tenant, model, responseId, start, end);
    }

    /** Those sent on a day, from midnight to midnight there. */
    public LedgerQuery day(LocalDate day, ZoneId zone) {
        return between(
                day.atStartOfDay(zone).toInstant(),
                day.plusDays(1).atStartOfDay(zone).toInstant());
    }

    /** Whether this asks for a request. */
    @Override
    public boolean test(RequestUsage request) {
        long start = LedgerTime.millis(request.start());
        return matches(runId, request.runId())
                && matches(conversation, request.labels().get(RequestUsage.CONVERSATION))
                && matches(user, request.labels().get(RequestUsage.USER))
                && matches(tenant, request.labels().get(RequestUsage.TENANT))
                && matches(model, request.model())
                && matches(responseId, request.responseId())
                && (from == null || start >= LedgerTime.millis(from))
                && (to == null || start < LedgerTime.millis(to));
    }

    private static boolean matches(@Nullable String asked, @Nullable String value) {
        return asked == null || Objects.equals(asked, value);
    }
}
