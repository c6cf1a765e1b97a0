package io.fluxtally.conformance.record;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Redacts the body of one response: its lines and events stay where they are. Not safe for use by several threads. */
final class BodyRedactor {

    private static final Pattern LINE = Pattern.compile("([^\\r\\n]*)(\\r\\n|\\r|\\n|$)");

    /** A field of a server-sent event that is none of its text: a word, an id, a number. */
    private static final Pattern FIELD = Pattern.compile("(event|id|retry): ?(.*)", Pattern.DOTALL);

    private static final Pattern DATA = Pattern.compile("(\ufeff?data: ?)(.*)", Pattern.DOTALL);

    private static final Pattern BLANK = Pattern.compile("[ \\t\\r\\n]*");

    private static final String DONE = "[DONE]";

    private final JsonRedactor json;
    private final StringBuilder out = new StringBuilder();

    /** The data lines of the event at hand: each what stands before its data, the data, and the line end. */
    private final List<String[]> event = new ArrayList<>();

    private BodyRedactor(UnaryOperator<String> toolNames) {
        this.json = new JsonRedactor(toolNames);
    }

    /**
     * The body redacted.
     *
     * @param mediaType what it is, in lower case and without parameters
     * @param toolNames gives a tool's name the one that stands for it
     */
    static String redact(String body, String mediaType, UnaryOperator<String> toolNames) {
        BodyRedactor redactor = new BodyRedactor(toolNames);
        if (mediaType.equals("text/event-stream")) {
            redactor.events(body);
        } else if (mediaType.equals("application/x-ndjson")) {
            redactor.lines(body);
        } else {
            redactor.out.append(redactor.document(body));
        }
        return redactor.out.toString();
    }

    private void lines(String body) {
        for (Matcher line = LINE.matcher(body); line.find() && line.end() > line.start(); ) {
            out.append(document(line.group(1))).append(line.group(2));
        }
    }

    private void events(String body) {
        // Lines between those of data are short and few: an event is put together again in the order of its lines.
        for (Matcher line = LINE.matcher(body); line.find() && line.end() > line.start(); ) {
            String text = line.group(1);
            Matcher data = DATA.matcher(text);
            if (data.matches()) {
                event.add(new String[] {data.group(1), data.group(2), line.group(2)});
            } else if (text.isEmpty()) {
                endEvent();
                out.append(line.group(2));
            } else if (!event.isEmpty()) {
                event.add(new String[] {field(text), null, line.group(2)});
            } else {
                out.append(field(text)).append(line.group(2));
            }
        }
        endEvent();
    }

    private void endEvent() {
        List<String> data = event.stream()
                .filter(line -> line[1] != null)
                .map(line -> line[1])
                .toList();
        // Neither filler nor redacted JSON loses or gains a line.
        String[] redacted = document(String.join("\n", data)).split("\n", -1);
        int next = 0;
        for (String[] line : event) {
            out.append(line[0]).append(line[1] == null ? "" : redacted[next++]).append(line[2]);
        }
        event.clear();
    }

    private static String field(String line) {
        Matcher field = FIELD.matcher(line);
        if (field.matches() && (field.group(2).isEmpty() || isOfProtocol(field.group(1), field.group(2)))) {
            return line;
        }
        int colon = line.startsWith(":") ? 1 : 0;
        return line.substring(0, colon) + Filler.of(line.substring(colon));
    }

    private static boolean isOfProtocol(String field, String value) {
        return switch (field) {
            case "event" -> Filler.isIdentifier(value);
            case "id" -> Filler.isId(value);
            default -> value.chars().allMatch(c -> c >= '0' && c <= '9');
        };
    }

    private String document(String text) {
        if (BLANK.matcher(text).matches() || text.equals(DONE)) {
            return text;
        }
        try {
            return json.redact(text);
        } catch (JsonProcessingException | StackOverflowError notJson) {
            return Filler.of(text);
        }
    }
}
