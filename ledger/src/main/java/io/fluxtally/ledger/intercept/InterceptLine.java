package io.fluxtally.ledger.intercept;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One line of a log, as far as it is read: its type, its id, its model and its figures. All other values are passed over
 * without making a text of them. Not safe for use by several threads.
 */
final class InterceptLine {

    static final String TOKEN = "token";
    static final String SYSTEM_PROMPT = "system_prompt";

    static final String NOT_JSON = "a line must be a JSON object";
    static final String TOO_LONG =
            "a line that is no system prompt must have at most %d bytes".formatted(BoundedLines.LONGEST);
    static final String NO_ID = "id must be a text of 1 to 256 characters";
    static final String NO_MODEL = "model must be a text of at most 256 characters";
    static final String NO_FIGURE = "a token line must have a figure";

    private static final List<String> FIGURES =
            List.of("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "total_tokens");

    private static final int LONGEST_NAME = 256;

    /** It keeps no names and no buffers from one line to the next: any text may stand where a name should. */
    private static final JsonFactory JSON = new JsonFactoryBuilder()
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .recyclerPool(JsonRecyclerPools.nonRecyclingPool())
            .build();

    private @Nullable String type;
    private @Nullable String id;
    private @Nullable String model;
    private final @Nullable Long[] figures = new Long[FIGURES.size()];
    private @Nullable String fault;

    private InterceptLine() {}

    /** Reads a line, or as much of it as there is. */
    static InterceptLine read(byte[] bytes, int length, boolean cut) {
        InterceptLine line = new InterceptLine();
        String notJson = null;
        try (JsonParser json = JSON.createParser(bytes, 0, length)) {
            if (!line.readObject(json) || json.nextToken() != null) {
                notJson = NOT_JSON;
            }
        } catch (IOException wrong) {
            // Its message has a piece of the line, so it goes nowhere.
            notJson = NOT_JSON;
        }
        if (cut) {
            line.fault = TOO_LONG;
        } else if (notJson != null) {
            line.fault = notJson;
            line.type = null;
        }
        return line;
    }

    private boolean readObject(JsonParser json) throws IOException {
        if (json.nextToken() != JsonToken.START_OBJECT) {
            return false;
        }
        for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
            JsonToken value = json.nextToken();
            switch (name) {
                case "type" -> type = text(json, value);
                case "id" -> id = text(json, value);
                case "model" -> readModel(json, value);
                default -> readOther(name, json, value);
            }
        }
        return json.currentToken() == JsonToken.END_OBJECT;
    }

    private void readModel(JsonParser json, JsonToken value) throws IOException {
        model = text(json, value);
        if (model == null && value != JsonToken.VALUE_NULL) {
            complain(NO_MODEL);
        }
    }

    private void readOther(String name, JsonParser json, JsonToken value) throws IOException {
        int figure = FIGURES.indexOf(name);
        if (figure >= 0) {
            figures[figure] = figure(name, json, value);
        }
        json.skipChildren();
    }

    private @Nullable Long figure(String name, JsonParser json, JsonToken value) throws IOException {
        if (value == JsonToken.VALUE_NULL) {
            return null;
        }
        if (value != JsonToken.VALUE_NUMBER_INT) {
            complain(name + " must be a whole number");
            return null;
        }
        if (json.getNumberType() == JsonParser.NumberType.BIG_INTEGER || json.getLongValue() < 0) {
            complain(name + " must be from 0 to " + Long.MAX_VALUE);
            return null;
        }
        return json.getLongValue();
    }

    private void complain(String rule) {
        fault = fault == null ? rule : fault;
    }

    private static @Nullable String text(JsonParser json, JsonToken value) throws IOException {
        if (value != JsonToken.VALUE_STRING) {
            json.skipChildren();
            return null;
        }
        return json.getTextLength() > LONGEST_NAME ? null : json.getText();
    }

    boolean isSystemPrompt() {
        return SYSTEM_PROMPT.equals(type);
    }

    /** Whether it is of a kind that is not for here: neither a figure nor wrong. */
    boolean isOther() {
        return type != null && !type.equals(TOKEN) && fault != TOO_LONG;
    }

    /** The rule that it breaks, or null. */
    @Nullable
    String fault() {
        if (fault != null) {
            return fault;
        }
        if (type == null) {
            return "type must be a text of at most %d characters".formatted(LONGEST_NAME);
        }
        if (id == null || id.isEmpty()) {
            return NO_ID;
        }
        return Arrays.stream(figures).allMatch(figure -> figure == null) ? NO_FIGURE : null;
    }

    InterceptRecord record(long number) {
        if (id == null) {
            throw new IllegalStateException(NO_ID);
        }
        return new InterceptRecord(id, model, figures[0], figures[1], figures[2], figures[3], figures[4], number);
    }
}
