package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonStreamContext;
import io.fluxtally.usage.wire.dialect.UsageFigures;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The figures of one response as its provider reports them, by the names of their fields, the last of each. What an event
 * says counts once the event has ended. Not safe for use by several threads.
 */
final class ReportedFigures {

    /** How many figures are kept of the fields that the dialect knows, and of others: more than any provider reports. */
    private static final int MAX_FIGURES = 32;

    private static final int MAX_NAME_LENGTH = 128;
    private static final int MAX_DEPTH = 8;

    /** So many digits has the greatest of all counts; a longer number is none, and is not even parsed. */
    private static final int MAX_DIGITS = 19;

    private final Figures known = new Figures();
    private final Figures others = new Figures();

    /** What the event says that has not ended yet. */
    private final Figures knownInEvent = new Figures();

    private final Figures othersInEvent = new Figures();

    /** An event begins; what one before it said without an end does not count. */
    void beginEvent() {
        knownInEvent.clear();
        othersInEvent.clear();
    }

    /** Takes the number that the parser stands at, in a field that the dialect knows. */
    void takeKnown(String name, JsonParser parser) throws IOException {
        knownInEvent.put(name, count(parser));
    }

    /**
     * Takes the number that the parser stands at, in a field that the dialect does not know.
     *
     * @param within the name of the place that it is somewhere in
     * @param depth how many objects and arrays it is in, counted from there
     */
    void takeOther(String within, int depth, JsonParser parser) throws IOException {
        StringBuilder name = new StringBuilder(within);
        if (depth <= MAX_DEPTH && append(name, parser.getParsingContext(), depth)) {
            othersInEvent.put(name.toString(), count(parser));
        }
    }

    private static long count(JsonParser parser) throws IOException {
        return parser.getTextLength() > MAX_DIGITS ? -1 : UsageFigures.tokens(parser);
    }

    /** Appends the path to where a context stands; returns false if it is not one of plain names. */
    private static boolean append(StringBuilder name, @Nullable JsonStreamContext context, int depth) {
        if (context == null || (depth > 1 && !append(name, context.getParent(), depth - 1))) {
            return false;
        }
        if (context.inArray()) {
            name.append('[').append(context.getCurrentIndex()).append(']');
            return true;
        }
        String field = context.getCurrentName();
        if (field == null || !isPlain(field)) {
            return false;
        }
        name.append('.').append(field);
        return name.length() <= MAX_NAME_LENGTH;
    }

    /** Whether a name is one that a provider gives a field, and no text that happens to be one. */
    private static boolean isPlain(String field) {
        return field.length() <= MAX_NAME_LENGTH
                && !field.isEmpty()
                && field.chars().allMatch(c -> c < 0x80 && (Character.isLetterOrDigit(c) || c == '_' || c == '-'));
    }

    /** The event has ended. */
    void endEvent() {
        known.putAll(knownInEvent);
        others.putAll(othersInEvent);
        beginEvent();
    }

    /** The figures so far. */
    Map<String, Long> toMap() {
        Map<String, Long> map = new TreeMap<>();
        known.copyTo(map);
        others.copyTo(map);
        return map;
    }

    /** A few figures; quicker than a map, since the names are mostly the very same strings. */
    private static final class Figures {

        private String[] names = new String[8];
        private long[] figures = new long[8];
        private int size;

        void clear() {
            size = 0;
        }

        /** Puts a figure, if there is room for it; a negative one is none. */
        void put(String name, long figure) {
            if (figure < 0) {
                return;
            }
            int i = 0;
            while (i < size && !names[i].equals(name)) {
                i++;
            }
            if (i == MAX_FIGURES) {
                return;
            }
            if (i == names.length) {
                names = Arrays.copyOf(names, i * 2);
                figures = Arrays.copyOf(figures, i * 2);
            }
            names[i] = name;
            figures[i] = figure;
            size = Math.max(size, i + 1);
        }

        void putAll(Figures later) {
            for (int i = 0; i < later.size; i++) {
                put(later.names[i], later.figures[i]);
            }
        }

        void copyTo(Map<String, Long> map) {
            for (int i = 0; i < size; i++) {
                map.put(names[i], figures[i]);
            }
        }
    }
}
