package io.fluxtally.conformance.record;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * Redacts the JSON of one response, document by document.
 *
 * <p>What stays is the structure, names of fields, numbers that are the value of a field, booleans, nulls, and those strings whose
 * field is on a list and which have the form of an id or a word. What goes to a tool becomes an empty object, and names of
 * tools are given by the caller. Every document keeps its length in bytes, but for the names of tools.
 *
 * <p>Not safe for use by several threads.
 */
final class JsonRedactor {

    private static final Set<String> IDS = Set.of("id", "request_id", "responseId", "response_id");

    /** Fields whose string is a word of the protocol. */
    private static final Set<String> WORDS = Set.of(
            "model",
            "modelVersion",
            "object",
            "type",
            "role",
            "status",
            "code",
            "created_at",
            "createTime",
            "finish_reason",
            "finishReason",
            "stop_reason",
            "done_reason",
            "blockReason",
            "modality",
            "trafficType",
            "cache_type",
            "service_tier",
            "system_fingerprint",
            "strategy",
            "x_billing_type");

    /** Fields whose value is what somebody said, whatever its form: also names, numbers and how they are nested. */
    private static final Set<String> FREE = Set.of(
            "arguments",
            "args",
            "input",
            "parameters",
            "metadata",
            "labels",
            "logprobs",
            "logprobsResult",
            "top_logprobs",
            "context",
            "parsed",
            "__verbose");

    /** Fields whose string holds JSON, of which a stream sends a piece at a time. */
    private static final Set<String> PIECES = Set.of("arguments", "partial_json");

    private static final Set<String> FUNCTIONS = Set.of("function", "functionCall", "function_call");

    private static final Set<String> TOOL_USES = Set.of("tool_use", "function_call");

    private static final Pattern FIELD_NAME = Pattern.compile("[A-Za-z_$][A-Za-z0-9_.$-]{0,63}");

    /** Strict about a field given twice: the one that is looked at might not be the one that is written. */
    private static final ObjectReader JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build()
            .reader();

    private final UnaryOperator<String> toolNames;

    /** What each call's arguments were so far, by the indexes around them. */
    private final Map<String, StringBuilder> pieces = new HashMap<>();

    private String json = "";
    private int at;
    private StringBuilder out = new StringBuilder();

    JsonRedactor(UnaryOperator<String> toolNames) {
        this.toolNames = toolNames;
    }

    /**
     * The document redacted.
     *
     * @throws JsonProcessingException if it is not one valid JSON document
     */
    String redact(String document) throws JsonProcessingException {
        JsonNode root = JSON.readTree(document);
        json = document;
        at = 0;
        out = new StringBuilder(document.length());
        // The document is valid from here on, so that a walk over it need not look out.
        value(new Place("", "", root, ""), root);
        copyBlanks();
        return out.toString();
    }

    /**
     * Where a value is: the field it is the value of, or empty in an array; the field that its object is the value of; its
     * object; and the indexes around it.
     */
    private record Place(String field, String around, JsonNode object, String indexes) {

        /** A field whose name is no identifier is not out of a protocol either. */
        boolean isFree() {
            return FREE.contains(field)
                    || !field.isEmpty() && !FIELD_NAME.matcher(field).matches();
        }

        boolean isToolName() {
            return field.equals("name") && isTool();
        }

        boolean isTool() {
            return FUNCTIONS.contains(around)
                    || TOOL_USES.contains(object.path("type").asText());
        }

        boolean startsCall() {
            return isTool() && !object.path("name").asText().isEmpty();
        }
    }

    private void value(Place place, JsonNode node) {
        copyBlanks();
        switch (json.charAt(at)) {
            case '{', '[' -> {
                if (place.isFree()) {
                    empty();
                } else if (json.charAt(at) == '{') {
                    object(place, node);
                } else {
                    array(place, node);
                }
            }
            case '"' -> string(place);
            case 't', 'f', 'n' -> copy(endOfWord());
            default -> number(place);
        }
    }

    private void object(Place place, JsonNode node) {
        String index = node.path("index").asText();
        String indexes = index.isEmpty() ? place.indexes : place.indexes + '/' + index;
        copy(at + 1);
        copyBlanks();
        while (json.charAt(at) != '}') {
            String literal = json.substring(at + 1, endOfString() - 1);
            replace(endOfString(), FIELD_NAME.matcher(literal).matches() ? literal : Filler.ofJson(literal));
            copyBlanks();
            copy(at + 1);
            // A name with an escape in it is on no list, and leads nowhere.
            value(new Place(literal, place.field, node, indexes), node.path(literal));
            nextItem();
        }
        copy(at + 1);
    }

    private void array(Place place, JsonNode node) {
        copy(at + 1);
        copyBlanks();
        for (int i = 0; json.charAt(at) != ']'; i++) {
            // Of an array of objects each is still the value of the array's field; a bare value in one is the value of
            // none.
            boolean bare = json.charAt(at) != '{';
            value(new Place(bare ? "" : place.field, place.around, place.object, place.indexes), node.path(i));
            nextItem();
        }
        copy(at + 1);
    }

    private void nextItem() {
        copyBlanks();
        if (json.charAt(at) == ',') {
            copy(at + 1);
            copyBlanks();
        }
    }

    private void string(Place place) {
        int end = endOfString();
        String literal = json.substring(at + 1, end - 1);
        if (literal.isEmpty()) {
            copy(end);
        } else if (PIECES.contains(place.field)) {
            replace(end, piece(place, literal));
        } else if (place.isToolName()) {
            replace(end, toolNames.apply(literal));
        } else if (IDS.contains(place.field) && Filler.isId(literal)
                || WORDS.contains(place.field) && Filler.isIdentifier(literal)) {
            copy(end);
        } else {
            replace(end, Filler.ofJson(literal));
        }
    }

    /**
     * A piece of a call's arguments: all pieces together are an empty object and blanks, wherever they are cut, so that a
     * client that joins them can parse them.
     */
    private String piece(Place place, String literal) {
        StringBuilder before = pieces.computeIfAbsent(place.indexes, key -> new StringBuilder());
        // Some answers tell their arguments from the start again each time.
        if (place.startsCall() || (literal.length() >= before.length() && literal.startsWith(before.toString()))) {
            before.setLength(0);
        }
        // A first piece of one character is one of one byte: JSON starts with no other.
        String piece = "{}".substring(Math.min(before.length(), 2)) + " ".repeat(Filler.bytes(literal));
        before.append(literal);
        return piece.substring(0, Filler.bytes(literal));
    }

    /** A number that is no field's value is an item of a list, and lists of numbers can be text: bytes, tokens, embeddings. */
    private void number(Place place) {
        int end = endOfWord();
        boolean content = place.field.isEmpty() || place.isFree();
        String number = json.substring(at, end);
        out.append(content ? number.replaceAll("[0-9]", "1") : number);
        at = end;
    }

    /** An object or array without what was in it. */
    private void empty() {
        int depth = 0;
        int end = at;
        do {
            char c = json.charAt(end);
            if (c == '"') {
                end = endOfString(end);
                continue;
            }
            if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                depth--;
            }
            end++;
        } while (depth > 0);
        out.append(json.charAt(at)).append(json.charAt(end - 1));
        for (int i = at + 1; i < end - 1; i++) {
            char c = json.charAt(i);
            // An event may have its data on several lines.
            out.append(c == '\n' || c == '\r' ? String.valueOf(c) : " ".repeat(Filler.bytes(String.valueOf(c))));
        }
        at = end;
    }

    private void copyBlanks() {
        int end = at;
        while (end < json.length() && " \t\r\n".indexOf(json.charAt(end)) >= 0) {
            end++;
        }
        copy(end);
    }

    private void copy(int end) {
        out.append(json, at, end);
        at = end;
    }

    private void replace(int end, String literal) {
        out.append('"').append(literal).append('"');
        at = end;
    }

    private int endOfString() {
        return endOfString(at);
    }

    private int endOfString(int start) {
        int end = start + 1;
        while (json.charAt(end) != '"') {
            end += json.charAt(end) == '\\' ? 2 : 1;
        }
        return end + 1;
    }

    private int endOfWord() {
        int end = at;
        while (end < json.length() && " \t\r\n,]}".indexOf(json.charAt(end)) < 0) {
            end++;
        }
        return end;
    }
}
