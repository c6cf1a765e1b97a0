package io.fluxtally.ledger;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.json.RequestUsageJson;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The record of a ledger: a {@link RequestUsage} as one line of JSON that says its version, {@code {"v":1, "request_id":
 * "…", …}}. {@code docs/ledger.md} describes it.
 *
 * <p>It is ASCII, so that whatever an id or label holds comes back as it was. What is read is equal to what was written.
 */
public final class LedgerRecord {

    /** The version of what is written here. */
    public static final int VERSION = 1;

    static final String VERSION_FIELD = "v";

    private static final ObjectMapper MAPPER = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(JsonWriteFeature.ESCAPE_NON_ASCII)
            .build();

    /** An id is shown in an error if it looks like one. */
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9_.:/-]{1,80}");

    private static final Pattern NUMBER = Pattern.compile("-?\\d{1,20}");

    private static final String BUT_IS = ", but is ";

    /** A character takes six bytes at most; an eighth of the line is more than all the rest takes. */
    private static final long MAX_LETTERS = (LineScanner.MAX_LINE - LineScanner.MAX_LINE / 8) / 6;

    /** What a number takes, and quotes and commas. */
    private static final long LETTERS_PER_ENTRY = 5;

    private LedgerRecord() {}

    /**
     * The record as text, without a line break.
     *
     * @throws ArithmeticException if a duration has more nanoseconds than a {@code long}
     */
    public static String write(RequestUsage request) {
        return new String(bytes(request), StandardCharsets.US_ASCII);
    }

    static byte[] bytes(RequestUsage request) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put(VERSION_FIELD, VERSION);
        json.setAll(RequestUsageJson.write(request));
        try {
            return MAPPER.writeValueAsBytes(json);
        } catch (JsonProcessingException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /**
     * Whether a request can be written so that it can be read again: its durations must have no more nanoseconds than a
     * {@code long}, and its texts, which a provider or app may make of any length, must fit a line even if every character
     * of them is escaped.
     */
    static boolean isStorable(RequestUsage request) {
        Duration first = request.timeToFirstChunk();
        return isLong(request.duration()) && (first == null || isLong(first)) && letters(request) <= MAX_LETTERS;
    }

    private static boolean isLong(Duration duration) {
        try {
            duration.toNanos();
            return true;
        } catch (ArithmeticException tooLong) {
            return false;
        }
    }

    private static long letters(RequestUsage request) {
        long letters = request.requestId().length();
        for (String text : new @Nullable String[] {
            request.runId(),
            request.callId(),
            request.responseId(),
            request.agent(),
            request.node(),
            request.provider(),
            request.requestModel(),
            request.responseModel()
        }) {
            letters += text == null ? 0 : text.length();
        }
        for (Map.Entry<String, String> label : request.labels().entrySet()) {
            letters += label.getKey().length() + label.getValue().length() + LETTERS_PER_ENTRY;
        }
        for (String name : request.reported().keySet()) {
            letters += name.length() + LETTERS_PER_ENTRY;
        }
        return letters;
    }

    /**
     * The request that a record stands for.
     *
     * @throws LedgerException if it is none, or one of a later version; the message has the rule, and nothing of the text
     *     but an id
     */
    public static RequestUsage read(String record) {
        byte[] bytes = record.getBytes(StandardCharsets.UTF_8);
        try {
            return read(bytes, 0, bytes.length);
        } catch (NotARecordException wrong) {
            throw new LedgerException("a record of the ledger: %s, but %s".formatted(wrong.rule, wrong.value));
        }
    }

    static RequestUsage read(byte[] bytes, int offset, int length) throws NotARecordException {
        JsonNode json;
        try {
            json = MAPPER.readTree(bytes, offset, length);
        } catch (JsonProcessingException notJson) {
            throw new NotARecordException(
                    LedgerProblem.Kind.JUNK,
                    "must be a JSON object",
                    notJson.getLocation() == null
                            ? "is not JSON"
                            : "column %d is not JSON"
                                    .formatted(notJson.getLocation().getColumnNr()));
        } catch (IOException impossible) {
            throw new IllegalStateException(impossible);
        }
        if (json == null || !json.isObject()) {
            throw new NotARecordException(
                    LedgerProblem.Kind.JUNK,
                    "must be a JSON object",
                    "is something else of %d bytes".formatted(length));
        }
        JsonNode version = json.path(VERSION_FIELD);
        if (version.isIntegralNumber() && version.canConvertToLong() && version.longValue() > VERSION) {
            throw new NotARecordException(
                    LedgerProblem.Kind.LATER_VERSION,
                    "\"v\" must be %d, the latest version known here".formatted(VERSION),
                    "is " + version.longValue());
        }
        if (!version.isIntegralNumber() || version.longValue() != VERSION) {
            throw new NotARecordException(
                    LedgerProblem.Kind.JUNK,
                    "\"v\" must be %d".formatted(VERSION),
                    version.isIntegralNumber() ? "is " + version.bigIntegerValue() : "is none");
        }
        try {
            return RequestUsageJson.read(json);
        } catch (IllegalArgumentException | ArithmeticException wrong) {
            throw broken(String.valueOf(wrong.getMessage()), json);
        }
    }

    /** The rule, and instead of a value that may be a text what can be said without it. */
    private static NotARecordException broken(String message, JsonNode json) {
        int at = message.indexOf(BUT_IS);
        String rule = at < 0 ? message : message.substring(0, at);
        String value = at < 0 ? "" : message.substring(at + BUT_IS.length());
        boolean plain = NUMBER.matcher(value).matches() || value.equals("not there");
        String shown = plain ? "is " + value : "is not so";
        String id = json.path("request_id").asText();
        return new NotARecordException(
                LedgerProblem.Kind.JUNK,
                rule,
                ID.matcher(id).matches() ? "%s (request %s)".formatted(shown, id) : shown);
    }

    /** An id for a message: one that does not look like one may be anything. */
    static String shown(String id) {
        return ID.matcher(id).matches() ? id : "an id of %d characters".formatted(id.length());
    }

    /** Why a line is not a record. */
    static final class NotARecordException extends Exception {

        private static final long serialVersionUID = 1L;

        final LedgerProblem.Kind kind;
        final String rule;
        final String value;

        NotARecordException(LedgerProblem.Kind kind, String rule, String value) {
            super(rule, null, false, false);
            this.kind = kind;
            this.rule = rule;
            this.value = value;
        }
    }
}
