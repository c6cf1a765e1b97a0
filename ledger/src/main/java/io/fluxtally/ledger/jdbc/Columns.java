package io.fluxtally.ledger.jdbc;

import io.fluxtally.ledger.LedgerRecord;
import io.fluxtally.ledger.LedgerTime;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** The columns of the table: what is asked for and added up has its own, and {@link #RECORD} holds all of it. */
final class Columns {

    static final String TABLE = "fluxtally_ledger";
    static final String REQUEST_ID = "request_id";
    static final String RUN_ID = "run_id";
    static final String CONVERSATION = "conversation";
    static final String USER = "user_label";
    static final String TENANT = "tenant";
    static final String MODEL = "model";
    static final String RESPONSE_ID = "response_id";
    static final String SOURCE = "source";
    static final String STARTED_AT = "started_at";
    static final String STARTED_DAY = "started_day";
    static final String RECORD = "record";

    private static final List<String> TEXTS = List.of(
            REQUEST_ID,
            RUN_ID,
            CONVERSATION,
            USER,
            TENANT,
            "provider",
            MODEL,
            RESPONSE_ID,
            SOURCE,
            "outcome",
            STARTED_DAY,
            RECORD);

    private static final int MAX_TEXT = 255;
    private static final int MAX_SHOWN = 180;

    private Columns() {}

    private static final List<String> NAMES = allNames();

    private static List<String> allNames() {
        List<String> names = new ArrayList<>(List.of(
                REQUEST_ID,
                RUN_ID,
                CONVERSATION,
                USER,
                TENANT,
                "provider",
                MODEL,
                RESPONSE_ID,
                SOURCE,
                "outcome",
                STARTED_AT,
                STARTED_DAY,
                "input_tokens",
                "output_tokens",
                "total_tokens"));
        Arrays.stream(TokenPart.values()).map(TokenPart::key).forEach(names::add);
        names.add(RECORD);
        return List.copyOf(names);
    }

    /** All of them, in the order of {@link #set}. */
    static List<String> names() {
        return NAMES;
    }

    static boolean isNumber(String column) {
        return !TEXTS.contains(column);
    }

    /** Sets the parameters of a row, in the order of {@link #names()}, from an index on; returns the index of the next. */
    static int set(PreparedStatement row, int first, RequestUsage request) throws SQLException {
        int at = first;
        setText(row, at++, request.requestId());
        setText(row, at++, request.runId());
        setText(row, at++, request.labels().get(RequestUsage.CONVERSATION));
        setText(row, at++, request.labels().get(RequestUsage.USER));
        setText(row, at++, request.labels().get(RequestUsage.TENANT));
        setText(row, at++, request.provider());
        setText(row, at++, request.model());
        setText(row, at++, request.responseId());
        row.setString(at++, request.source().name());
        row.setString(at++, request.outcome().name());
        row.setLong(at++, LedgerTime.millis(request.start()));
        row.setString(at++, LedgerTime.day(request.start()));
        TokenUsage usage = request.usage();
        setNumber(row, at++, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.inputTokens()));
        setNumber(row, at++, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.outputTokens()));
        setNumber(row, at++, usage == null ? OptionalLong.empty() : OptionalLong.of(usage.totalTokens()));
        for (TokenPart part : TokenPart.values()) {
            setNumber(row, at++, usage == null ? OptionalLong.empty() : usage.part(part));
        }
        row.setString(at++, LedgerRecord.write(request));
        return at;
    }

    private static void setText(PreparedStatement row, int at, @Nullable String value) throws SQLException {
        row.setString(at, value == null ? null : fitted(value));
    }

    private static void setNumber(PreparedStatement row, int at, OptionalLong value) throws SQLException {
        if (value.isPresent()) {
            row.setLong(at, value.getAsLong());
        } else {
            row.setNull(at, Types.BIGINT);
        }
    }

    /**
     * A value as its column has it: as it is, or, if a database could not keep it or tell it from another, by its
     * beginning and its SHA-256. That is one of more than 255 characters, with a NUL or half a surrogate pair, or with a
     * space at its end. The record has it as it is.
     */
    static String fitted(String value) {
        if (value.length() <= MAX_TEXT && !value.endsWith(" ") && isPlain(value)) {
            return value;
        }
        StringBuilder shown = new StringBuilder();
        for (int i = 0; i < value.length() && i < MAX_SHOWN; i++) {
            char letter = value.charAt(i);
            shown.append(letter > ' ' && letter < 0x7f ? letter : '_');
        }
        return shown.append('~').append(sha256(value)).toString();
    }

    private static boolean isPlain(String value) {
        for (int i = 0; i < value.length(); i++) {
            char letter = value.charAt(i);
            if (letter == 0 || Character.isLowSurrogate(letter)) {
                return false;
            }
            if (Character.isHighSurrogate(letter)
                    && (++i == value.length() || !Character.isLowSurrogate(value.charAt(i)))) {
                return false;
            }
        }
        return true;
    }

    private static String sha256(String value) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(value.getBytes(StandardCharsets.UTF_16BE));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException everyJvmHasIt) {
            throw new IllegalStateException(everyJvmHasIt);
        }
    }
}
