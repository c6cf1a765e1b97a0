package io.fluxtally.usage.wire;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.fluxtally.usage.scope.MeasuringFailures;
import io.fluxtally.usage.wire.dialect.Dialect;
import io.fluxtally.usage.wire.dialect.RequestHead;
import io.fluxtally.usage.wire.dialect.ResponseReading;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds out which dialect a response is in, reading it with all that may be until one recognises it.
 *
 * <p>If the request went to an endpoint that some dialects expect, only those are tried. If no dialect expects it, a
 * response can still name itself, but has to do so early.
 */
final class DialectSearch {

    /** How much of a body is read in vain, before a request that no dialect expects is taken for none to a model. */
    private static final long UNEXPECTED_BYTES = 64 * 1024;

    private static final JsonFactory JSON = new JsonFactory();

    private record Candidate(Dialect dialect, ResponseReading reading, JsonWalk walk) {}

    private final boolean expected;
    private final RequestHead head;

    /** An array, since it is gone through for each token, and an iterator each time would be most of what the tap allocates. */
    private Candidate[] candidates;

    private @Nullable ResponseReading found;

    DialectSearch(List<Dialect> dialects, RequestHead head) {
        this.head = head;
        List<Dialect> expecting = new ArrayList<>();
        List<Dialect> others = new ArrayList<>();
        for (Dialect dialect : dialects) {
            guarded(() -> (dialect.expects(head) ? expecting : others).add(dialect));
        }
        this.expected = !expecting.isEmpty();
        List<Candidate> begun = new ArrayList<>();
        for (Dialect dialect : expected ? expecting : others) {
            guarded(() -> {
                ResponseReading reading = dialect.newReading();
                begun.add(new Candidate(dialect, reading, new JsonWalk(dialect.paths(), reading)));
            });
        }
        this.candidates = begun.toArray(Candidate[]::new);
    }

    /** Begins one dialect; if that fails, the others go on without it. */
    private static void guarded(Runnable beginning) {
        try {
            beginning.run();
        } catch (Throwable failure) {
            MeasuringFailures.report("the beginning of a dialect", failure);
        }
    }

    /** Whether the request went to an endpoint of a dialect. */
    boolean isExpected() {
        return expected;
    }

    /** The reading that recognised the response, or null. */
    @Nullable
    ResponseReading found() {
        return found;
    }

    /** The figures of the response as its provider reports them, if it was recognised. */
    Map<String, Long> reported() {
        return found == null ? Map.of() : candidates[0].walk.reported();
    }

    /** Whether to read no further. A document that is not at its end yet has its say before. */
    boolean givesUp(long bytesRead) {
        if (expected || found != null || bytesRead <= UNEXPECTED_BYTES) {
            return false;
        }
        recognise();
        return found == null;
    }

    /** The family of the dialect that was found, or of the one expected. */
    @Nullable
    String provider() {
        Dialect dialect = known();
        return dialect == null ? null : dialect.provider();
    }

    /** The model that the request's head asks for, as the dialect reads it that was found, or that is expected; or null. */
    @Nullable
    String requestModel() {
        Dialect dialect = known();
        return dialect == null ? null : dialect.requestModel(head);
    }

    private @Nullable Dialect known() {
        boolean known = (found != null || expected) && candidates.length > 0;
        return known ? candidates[0].dialect : null;
    }

    /** Takes the type of the event that comes next, where its framing names one. */
    void typed(String messageType, String type) {
        for (Candidate candidate : candidates) {
            candidate.reading.typed(messageType, type);
        }
    }

    boolean wants(byte[] json, int length) {
        return found == null || found.wants(json, length);
    }

    int skip(byte[] bytes, int from, int to) {
        return found == null ? -1 : found.skip(bytes, from, to);
    }

    int skipSuperseding(byte[] earlier, int earlierLength, byte[] bytes, int from, int to) {
        return found == null ? -1 : found.skipSuperseding(earlier, earlierLength, bytes, from, to);
    }

    /**
     * Reads an event that is there as a whole.
     *
     * @throws IOException if it is no JSON document
     */
    void read(byte[] json, int length) throws IOException {
        try (JsonParser parser = JSON.createParser(json, 0, length)) {
            beginEvent();
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                accept(token, parser);
            }
            endEvent();
        }
    }

    void beginEvent() {
        for (Candidate candidate : candidates) {
            candidate.walk.reset();
            candidate.reading.beginEvent();
        }
    }

    /** Takes a token of the event; returns whether it was its last. */
    boolean accept(JsonToken token, JsonParser parser) throws IOException {
        boolean ended = false;
        for (Candidate candidate : candidates) {
            ended = candidate.walk.accept(token, parser);
        }
        return ended;
    }

    void endEvent() {
        for (Candidate candidate : candidates) {
            candidate.reading.endEvent();
            candidate.walk.ended();
        }
        recognise();
    }

    /** Takes the stream's mark of its end, and whether all events before it could be read. */
    void done(boolean allRead) {
        for (Candidate candidate : candidates) {
            candidate.reading.done(allRead);
        }
    }

    private void recognise() {
        if (found != null) {
            return;
        }
        for (Candidate candidate : candidates) {
            if (candidate.reading.recognised(expected)) {
                found = candidate.reading;
                candidates = new Candidate[] {candidate};
                return;
            }
        }
    }
}
