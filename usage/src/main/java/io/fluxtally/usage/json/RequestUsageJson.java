package io.fluxtally.usage.json;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fluxtally.usage.RequestOutcome;
import io.fluxtally.usage.RequestUsage;
import io.fluxtally.usage.TokenPart;
import io.fluxtally.usage.TokenUsage;
import io.fluxtally.usage.UsageSource;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A {@link RequestUsage} as a JSON object, and back: what is read is equal to what was written.
 *
 * <p>Names are in snake case, those of token counts as {@link TokenPart#key()} has them. What is not known is left out, so
 * that it is never mistaken for zero or for an empty text. Times are ISO 8601 instants, durations whole nanoseconds
 * ({@code duration_nanos}). A reader passes over names it does not know, so that later versions may add some; whoever
 * stores the object says in which version.
 *
 * <pre>{@code
 * {"request_id": "…", "run_id": "…", "node": "llm", "round": 2, "attempt": 1, "labels": {"user": "…"},
 *  "provider": "openai", "request_model": "…", "usage": {"input_tokens": 900, "output_tokens": 21, "total_tokens": 921,
 *  "cache_read_input_tokens": 640}, "source": "REPORTED", "outcome": "COMPLETED",
 *  "start": "2026-01-31T12:00:00Z", "duration_nanos": 2500000000}
 * }</pre>
 */
public final class RequestUsageJson {

    private RequestUsageJson() {}

    /** The request as an object of its own. */
    public static ObjectNode write(RequestUsage request) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("request_id", request.requestId());
        putText(json, "run_id", request.runId());
        putText(json, "call_id", request.callId());
        putText(json, "response_id", request.responseId());
        putText(json, "agent", request.agent());
        putText(json, "node", request.node());
        if (request.round() != null) {
            json.put("round", request.round());
        }
        json.put("attempt", request.attempt());
        if (!request.labels().isEmpty()) {
            request.labels().forEach(json.putObject("labels")::put);
        }
        putText(json, "provider", request.provider());
        putText(json, "request_model", request.requestModel());
        putText(json, "response_model", request.responseModel());
        TokenUsage usage = request.usage();
        if (usage != null) {
            json.set("usage", write(usage));
        }
        if (!request.reported().isEmpty()) {
            request.reported().forEach(json.putObject("reported")::put);
        }
        json.put("source", request.source().name());
        json.put("outcome", request.outcome().name());
        json.put("start", request.start().toString());
        Duration timeToFirstChunk = request.timeToFirstChunk();
        if (timeToFirstChunk != null) {
            json.put("time_to_first_chunk_nanos", timeToFirstChunk.toNanos());
        }
        json.put("duration_nanos", request.duration().toNanos());
        return json;
    }

    /** Token counts as they are in a request. A part that is not known is left out. */
    public static ObjectNode write(TokenUsage usage) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("input_tokens", usage.inputTokens());
        json.put("output_tokens", usage.outputTokens());
        json.put("total_tokens", usage.totalTokens());
        for (TokenPart part : TokenPart.values()) {
            usage.part(part).ifPresent(tokens -> json.put(part.key(), tokens));
        }
        return json;
    }

    private static void putText(ObjectNode json, String name, @Nullable String value) {
        if (value != null) {
            json.put(name, value);
        }
    }

    /**
     * The request that an object stands for.
     *
     * @throws IllegalArgumentException if a field that must be there is not, or one is not what it has to be; it names the
     *     field, the rule and the value
     */
    public static RequestUsage read(JsonNode json) {
        return new RequestUsage(
                required(json, "request_id"),
                text(json, "run_id"),
                text(json, "call_id"),
                text(json, "response_id"),
                text(json, "agent"),
                text(json, "node"),
                json.has("round") ? ordinal(json, "round") : null,
                ordinal(json, "attempt"),
                labels(json.path("labels")),
                text(json, "provider"),
                text(json, "request_model"),
                text(json, "response_model"),
                usage(json.path("usage")),
                reported(json.path("reported")),
                constant(json, "source", UsageSource.class),
                constant(json, "outcome", RequestOutcome.class),
                parsed(json, "start", "an ISO 8601 instant", Instant::parse),
                json.has("time_to_first_chunk_nanos") ? nanos(json, "time_to_first_chunk_nanos") : null,
                nanos(json, "duration_nanos"));
    }

    private static Map<String, String> labels(JsonNode json) {
        Map<String, String> labels = new TreeMap<>();
        json.fieldNames().forEachRemaining(name -> labels.put(name, required(json, name)));
        return labels;
    }

    private static Map<String, Long> reported(JsonNode json) {
        Map<String, Long> reported = new TreeMap<>();
        json.fieldNames().forEachRemaining(name -> reported.put(name, number(json, name)));
        return reported;
    }

    private static Duration nanos(JsonNode json, String name) {
        return Duration.ofNanos(number(json, name));
    }

    private static @Nullable TokenUsage usage(JsonNode json) {
        if (json.isMissingNode()) {
            return null;
        }
        TokenUsage.Builder usage = TokenUsage.builder()
                .inputTokens(number(json, "input_tokens"))
                .outputTokens(number(json, "output_tokens"))
                .totalTokens(number(json, "total_tokens"));
        for (TokenPart part : TokenPart.values()) {
            if (json.has(part.key())) {
                usage.part(part, number(json, part.key()));
            }
        }
        return usage.build();
    }

    private static @Nullable String text(JsonNode json, String name) {
        JsonNode value = json.get(name);
        if (value != null && !value.isTextual()) {
            throw wrong(name, "a text", value);
        }
        return value == null ? null : value.textValue();
    }

    private static String required(JsonNode json, String name) {
        String value = text(json, name);
        if (value == null) {
            throw wrong(name, "a text", null);
        }
        return value;
    }

    private static long number(JsonNode json, String name) {
        JsonNode value = json.get(name);
        if (value == null || !value.isIntegralNumber() || !value.canConvertToLong()) {
            throw wrong(name, "a whole number", value);
        }
        return value.longValue();
    }

    private static int ordinal(JsonNode json, String name) {
        long value = number(json, name);
        if (value != (int) value) {
            throw wrong(name, "a whole number that fits an int", json.get(name));
        }
        return (int) value;
    }

    private static <E extends Enum<E>> E constant(JsonNode json, String name, Class<E> type) {
        return parsed(
                json, name, "one of " + Arrays.toString(type.getEnumConstants()), value -> Enum.valueOf(type, value));
    }

    private static <T> T parsed(JsonNode json, String name, String rule, Function<String, T> parser) {
        String value = required(json, name);
        try {
            return parser.apply(value);
        } catch (IllegalArgumentException | DateTimeParseException notSo) {
            throw wrong(name, rule, json.get(name));
        }
    }

    private static IllegalArgumentException wrong(String name, String rule, @Nullable JsonNode value) {
        return new IllegalArgumentException("\"%s\" of a request must be %s, but is %s"
                .formatted(name, rule, value == null ? "not there" : value.toString()));
    }
}
