package io.fluxtally.ledger;

import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.RunUsage;
import org.jspecify.annotations.Nullable;

/** What records of a ledger can be added up by. A record without it is counted under {@link RunUsage#NONE}. */
public enum LedgerView {
    /** The run. */
    RUN,
    /** The {@link RequestUsage#CONVERSATION} label. */
    CONVERSATION,
    /** The {@link RequestUsage#USER} label. */
    USER,
    /** The {@link RequestUsage#TENANT} label. */
    TENANT,
    /** The {@link RequestUsage#model() model}. */
    MODEL,
    /** The day on which the request was sent, in UTC, such as {@code 2026-01-31}. */
    DAY;

    /** The key that a request is counted under. */
    public String keyOf(RequestUsage request) {
        String key = value(request);
        return key == null ? RunUsage.NONE : key;
    }

    private @Nullable String value(RequestUsage request) {
        return switch (this) {
            case RUN -> request.runId();
            case CONVERSATION -> request.labels().get(RequestUsage.CONVERSATION);
            case USER -> request.labels().get(RequestUsage.USER);
            case TENANT -> request.labels().get(RequestUsage.TENANT);
            case MODEL -> request.model();
            case DAY -> LedgerTime.day(request.start());
        };
    }
}
