package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.wire.dialect.FieldPaths;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Walks one JSON document token by token and shows a {@link ResponseReading} the places that its dialect wants.
 *
 * <p>It takes tokens as they come, so it serves a parser over a whole event and one that is fed piece by piece alike.
 */
final class JsonWalk {

    private final FieldPaths paths;
    private final ResponseReading reading;
    private final ReportedFigures reported = new ReportedFigures();

    /** The objects and arrays that the walk is in, outermost first. */
    private FieldPaths.Node[] within = new FieldPaths.Node[8];

    private int depth;
    private int skipped;
    private FieldPaths.@Nullable Node next;

    /** The depth of the place whose numbers are all kept as reported, or 0 outside one. */
    private int reportedFrom;

    JsonWalk(FieldPaths paths, ResponseReading reading) {
        this.paths = paths;
        this.reading = reading;
    }

    /** Makes the walk ready for another document. */
    void reset() {
        depth = 0;
        skipped = 0;
        next = null;
        reportedFrom = 0;
        reported.beginEvent();
    }

    /** The document was read to its end. */
    void ended() {
        reported.endEvent();
    }

    /** The figures of all documents as their provider reports them. */
    Map<String, Long> reported() {
        return reported.toMap();
    }

    /** Takes one token; the parser stands at it. Returns whether it ended the document. */
    boolean accept(JsonToken token, JsonParser parser) throws IOException {
        switch (token) {
            case FIELD_NAME -> {
                if (skipped == 0) {
                    next = within[depth - 1].field(parser.currentName());
                }
            }
            case START_OBJECT, START_ARRAY -> start(token);
            case END_OBJECT, END_ARRAY -> end();
            default -> value(token, parser);
        }
        return depth == 0 && skipped == 0;
    }

    private void start(JsonToken token) throws IOException {
        if (skipped > 0) {
            skipped++;
            return;
        }
        FieldPaths.Node node = here();
        if (node == null) {
            skipped = 1;
            return;
        }
        if (depth == within.length) {
            within = Arrays.copyOf(within, depth * 2);
        }
        within[depth++] = node;
        if (reportedFrom == 0 && node.reportedName() != null) {
            reportedFrom = depth;
        }
        next = token == JsonToken.START_ARRAY ? node.element() : null;
        if (node.isWanted()) {
            reading.start(node.path());
        }
    }

    private void end() throws IOException {
        if (skipped > 0) {
            skipped--;
            return;
        }
        if (depth == reportedFrom) {
            reportedFrom = 0;
        }
        FieldPaths.Node node = within[--depth];
        next = depth == 0 ? null : within[depth - 1].element();
        if (node.isWanted()) {
            reading.end(node.path());
        }
    }

    private void value(JsonToken token, JsonParser parser) throws IOException {
        FieldPaths.Node node = skipped > 0 ? null : here();
        if (node != null && node.isWanted()) {
            reading.value(node.path(), parser);
        }
        if (token.isNumeric()) {
            String name = node == null ? null : node.reportedName();
            String around = reportedFrom == 0 ? null : within[reportedFrom - 1].reportedName();
            if (name != null) {
                reported.takeKnown(name, parser);
            } else if (around != null) {
                reported.takeOther(around, depth - reportedFrom + 1 + skipped, parser);
            }
        }
    }

    /** The place of the value that begins now: the document, the field named last, or an element of the array around. */
    private FieldPaths.@Nullable Node here() {
        return depth == 0 ? paths.root() : next;
    }
}
